"""Training run: a LoRA adapter learned from a data set, by SFT or DPO."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import math
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx.optimizers as optim
from mlx import nn
from mlx.utils import tree_map

from realign_daemon.engine.api import Progress, Sha256, Train, Trained, TrainPoint, TrainSettings
from realign_daemon.engine.child import lora
from realign_daemon.engine.child.dataset import Example, batches, passes, read_dataset, target_tokens
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.objective import Alive, Dpo, Evaluation, Objective, Sft
from realign_daemon.engine.errors import BadTask

_MAX_GRADIENT_NORM = 1.0  # the usual clip in fine-tuning, and the default of Hugging Face's trainer


def train(
    loaded: Loaded,
    adapters: lora.Adapters,
    task: Train,
    *,
    dataset: Path,
    adapter: Path | None,
    output: Path,
    duty: Duty,
    alive: Alive,
    on_step: Progress,
) -> Trained:
    """Trains, writes the adapter's blob to `output` and leaves the model without any adapter.

    `on_step(done, total, note)` is called after every update, `alive` after every pass; what it raises ends the run.
    The result's adapter is empty: whoever stores the blob names it.

    Raises:
        BadTask: the settings, the data set or the starting adapter cannot be used, or the loss stopped being a number.
    """
    settings = task.settings
    _require_usable(settings)
    data = read_dataset(dataset, task, loaded.vocabulary)
    shape = lora.Shape(rank=settings.rank, scale=settings.scale, layer_count=loaded.layer_count)
    try:
        if adapter is None:
            adapters.attach_new(shape, seed=task.seed)
        else:
            _require_same_shape(adapter, settings)
            adapters.swap(cast("Sha256", task.adapter), adapter)
        network, size = loaded.network, loaded.vocabulary_size
        with duty.step():
            objective = (
                Dpo(network, data, size, alive, settings=settings)
                if task.method == "dpo"
                else Sft(network, data, size, alive)
            )
        run = _Run(network, adapters, objective, settings)
        order = batches(data, batch_size=settings.batch_size, seed=task.seed)
        for step in range(settings.steps):
            fresh, again = next(order)
            examples: list[Example] = [*(data.train[i] for i in fresh), *(data.replay[i] for i in again)]
            with duty.step():
                loss = run.update(step, list(passes(examples, size)), alive)
                enough = run.evaluate_after(step + 1, loss)
            if enough:
                break
            on_step(step + 1, settings.steps, f"loss {loss:.4f}")
        lora.pack(output, run.kept, shape)
        return run.result()
    finally:
        adapters.detach()


def learning_rate(step: int, settings: TrainSettings) -> float:
    """The rate of the update after `step` updates: linear warm-up over a tenth, then a cosine down to a tenth."""
    warm_up = max(1, settings.steps // 10)
    if step < warm_up:
        return settings.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, settings.steps - warm_up)
    return settings.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


class _Run:
    """State of one run: the policy (in the network), the optimiser, what was measured, the weights to keep.

    The trainable weights, `optimiser.state` and the number of steps are all that a checkpoint has to hold: the order
    of batches follows from seed and step.
    """

    def __init__(self, network: Any, adapters: lora.Adapters, objective: Objective, settings: TrainSettings) -> None:
        self._network, self._adapters, self._objective, self._settings = network, adapters, objective, settings
        self._optimiser = optim.Adam(learning_rate=settings.learning_rate, bias_correction=True)
        self._gradient: Any = nn.value_and_grad(network, objective.part_loss)
        self._losses: list[float] = []
        self._points: list[TrainPoint] = []
        self._best, self._since_best, self._tokens = math.inf, 0, 0
        self._kept_evaluation = Evaluation()
        self.kept = adapters.weights()

    def update(self, step: int, parts: Sequence[Sequence[Example]], alive: Alive) -> float:
        """One optimiser step over a batch given in parts; the batch's loss before it. Raises BadTask at a NaN."""
        examples = sum(len(part) for part in parts)
        tokens = sum(target_tokens(part) for part in parts)
        loss, gradient = 0.0, None
        self._network.train()
        for part in parts:
            value, change = self._gradient(part, batch_examples=examples, batch_tokens=tokens)
            gradient = change if gradient is None else tree_map(mx.add, gradient, change)
            mx.eval(value, gradient)
            loss += cast("float", value.item())
            alive()
        self._network.eval()
        if not math.isfinite(loss):
            rate = self._settings.learning_rate
            message = f"the loss became {loss} at step {step + 1}: lower the learning rate of {rate}"
            raise BadTask(message)
        clipped, _ = optim.clip_grad_norm(gradient, _MAX_GRADIENT_NORM)
        self._optimiser.learning_rate = learning_rate(step, self._settings)
        self._optimiser.update(self._network, clipped)
        mx.eval(self._network.trainable_parameters(), self._optimiser.state)
        self._losses.append(loss)
        self._tokens += tokens
        return loss

    def evaluate_after(self, step: int, train_loss: float) -> bool:
        """Evaluates when it is time and keeps the weights that are to be kept; whether patience is over."""
        settings = self._settings
        if step % settings.evaluate_every and step != settings.steps:
            return False
        now = self._objective.evaluate()
        self._points.append(
            TrainPoint(
                step=step,
                train_loss=train_loss,
                valid_loss=now.valid_loss,
                reward_accuracy=now.reward_accuracy,
                reward_margin=now.reward_margin,
                chosen_logratio=now.chosen_logratio,
            )
        )
        stops_early = settings.patience > 0 and now.valid_loss is not None
        self._since_best += 1
        if not stops_early or cast("float", now.valid_loss) < self._best:
            self._best, self._since_best = now.valid_loss or 0.0, 0
            self.kept, self._kept_evaluation = self._adapters.weights(), now
        return stops_early and self._since_best >= settings.patience

    def result(self) -> Trained:
        """What was measured; the margins are those of the weights that are kept."""
        return Trained(
            adapter=Sha256(""),
            steps=len(self._losses),
            points=tuple(self._points),
            step_losses=tuple(self._losses),
            valid_margins=self._kept_evaluation.margins,
            trained_tokens=self._tokens,
        )


def _require_usable(settings: TrainSettings) -> None:
    if min(settings.rank, settings.steps, settings.batch_size, settings.evaluate_every) < 1 or settings.patience < 0:
        message = f"{settings} cannot train: rank, steps, batch_size and evaluate_every are at least 1, patience 0"
        raise BadTask(message)


def _require_same_shape(adapter: Path, settings: TrainSettings) -> None:
    try:
        rank, scale = lora.settings_of(adapter)
    except (KeyError, ValueError, tarfile.TarError) as error:
        message = f"the starting adapter is none ({error}): give the blob of an earlier training"
        raise BadTask(message) from error
    if (rank, scale) != (settings.rank, settings.scale):
        message = (
            f"the starting adapter has rank {rank} and scale {scale}, the settings say {settings.rank} and "
            f"{settings.scale}: use the same"
        )
        raise BadTask(message)
