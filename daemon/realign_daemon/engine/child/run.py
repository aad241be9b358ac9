"""Run: the state of one training between its steps: policy, optimiser, what was measured, the weights to keep."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import mlx.core as mx
import mlx.optimizers as optim
from mlx.nn.utils import value_and_grad
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from realign_daemon.engine.api import Sha256, Trained, TrainPoint, TrainSettings
from realign_daemon.engine.child import lora
from realign_daemon.engine.child.checkpoint import Arrays, Checkpoint, Journal
from realign_daemon.engine.child.dataset import Example, passes, target_tokens
from realign_daemon.engine.child.objective import Alive, Evaluation, Objective
from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.codec import pack, structured, unpack
from realign_daemon.engine.errors import BadTask

_MAX_GRADIENT_NORM = 1.0  # the usual clip in fine-tuning, and the default of Hugging Face's trainer


class Run:
    """One run. The policy is in the network; a checkpoint and the task hold all the rest.

    The ranks of a group add up their gradients, so each makes the update that one alone would make of the whole batch.
    """

    def __init__(
        self, network: Any, adapters: lora.Adapters, objective: Objective, settings: TrainSettings, peers: Peers
    ) -> None:
        """The adapter that training starts from is attached."""
        self._network, self._adapters, self._objective, self._settings = network, adapters, objective, settings
        self._peers = peers
        self._optimiser = optim.Adam(learning_rate=settings.learning_rate, bias_correction=True)
        self._gradient: Any = value_and_grad(network, objective.part_loss)
        self._journal = Journal()
        self.kept: Arrays = adapters.weights()

    @property
    def steps(self) -> int:
        """How many updates were made."""
        return len(self._journal.step_losses)

    def update(self, batch: Sequence[Example], vocabulary_size: int, alive: Alive) -> float:
        """One optimiser step over a batch; the batch's loss before it. Raises BadTask at a NaN."""
        tokens = target_tokens(batch)
        loss, gradient = self._loss_and_gradient(batch, vocabulary_size, alive)
        if not math.isfinite(loss):
            rate = self._settings.learning_rate
            message = f"the loss became {loss} at step {self.steps + 1}: lower the learning rate of {rate}"
            raise BadTask(message)
        clipped, _ = optim.clip_grad_norm(gradient, _MAX_GRADIENT_NORM)
        self._optimiser.learning_rate = learning_rate(self.steps, self._settings)
        self._optimiser.update(self._network, clipped)
        mx.eval(self._network.trainable_parameters(), self._optimiser.state)
        journal = self._journal
        self._journal = replace(
            journal, step_losses=(*journal.step_losses, loss), trained_tokens=journal.trained_tokens + tokens
        )
        return loss

    def _loss_and_gradient(self, batch: Sequence[Example], vocabulary_size: int, alive: Alive) -> tuple[float, Any]:
        """Those of the whole batch, of which this rank computes every size-th example in passes that fit the memory.

        All ranks are alive equally often, for they meet in that.
        """
        peers, tokens = self._peers, target_tokens(batch)
        loss = 0.0
        gradient = tree_map(mx.zeros_like, self._network.trainable_parameters())
        shares = [list(passes(batch[rank :: peers.size], vocabulary_size)) for rank in range(peers.size)]
        self._network.train()
        for place in range(max(map(len, shares))):
            for part in shares[peers.rank][place : place + 1]:
                value, change = self._gradient(part, batch_examples=len(batch), batch_tokens=tokens)
                gradient = tree_map(mx.add, gradient, change)
                mx.eval(value, gradient)
                loss += cast("float", value.item())
            alive()
        self._network.eval()
        summed = peers.sum_all({"loss": mx.array(loss), "gradient": gradient})
        return cast("float", summed["loss"].item()), summed["gradient"]

    def evaluate_if_due(self) -> bool:
        """Evaluates when it is time and keeps the weights that are to be kept; whether patience is over."""
        settings, step = self._settings, self.steps
        if step % settings.evaluate_every and step != settings.steps:
            return False
        self._network.update(self._peers.agree_all(self._network.trainable_parameters()))
        mine = self._objective.evaluate()  # the same everywhere but for rounding, which could stop one rank early
        now = structured(unpack(self._peers.share(pack(asdict(mine)))), Evaluation)
        stops_early = settings.patience > 0 and now.valid_loss is not None
        is_best = not stops_early or cast("float", now.valid_loss) < self._journal.best_loss
        self._journal = _evaluated(self._journal, now, is_best=is_best)
        if is_best:
            self.kept = self._adapters.weights()
        return stops_early and self._journal.evaluations_since_best >= settings.patience

    def checkpoint(self) -> Checkpoint:
        """All of this. Without patience the last weights will be kept, so none are set aside."""
        return Checkpoint(
            journal=self._journal,
            weights=self._adapters.weights(),
            kept=self.kept if self._settings.patience else {},
            optimiser=dict(cast("list[tuple[str, mx.array]]", tree_flatten(self._optimiser.state))),
            reference=self._objective.reference,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Becomes what it was at the checkpoint."""
        self._network.update(tree_unflatten(list(checkpoint.weights.items())))
        self._optimiser.state = cast("dict[str, Any]", tree_unflatten(list(checkpoint.optimiser.items())))
        self._journal = checkpoint.journal
        self.kept = checkpoint.kept or checkpoint.weights

    def result(self) -> Trained:
        """What was measured; the margins are those of the weights that are kept."""
        journal = self._journal
        return Trained(
            adapter=Sha256(""),
            steps=self.steps,
            points=journal.points,
            step_losses=journal.step_losses,
            valid_margins=journal.kept_margins,
            trained_tokens=journal.trained_tokens,
        )


def learning_rate(step: int, settings: TrainSettings) -> float:
    """The rate of the update after `step` updates: linear warm-up over a tenth, then a cosine down to a tenth."""
    warm_up = max(1, settings.steps // 10)
    if step < warm_up:
        return settings.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, settings.steps - warm_up)
    return settings.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def _evaluated(journal: Journal, now: Evaluation, *, is_best: bool) -> Journal:
    point = TrainPoint(
        step=len(journal.step_losses),
        train_loss=journal.step_losses[-1],
        valid_loss=now.valid_loss,
        reward_accuracy=now.reward_accuracy,
        reward_margin=now.reward_margin,
        chosen_logratio=now.chosen_logratio,
    )
    return replace(
        journal,
        points=(*journal.points, point),
        best_loss=now.valid_loss if is_best and now.valid_loss is not None else journal.best_loss,
        evaluations_since_best=0 if is_best else journal.evaluations_since_best + 1,
        kept_margins=now.margins if is_best else journal.kept_margins,
    )
