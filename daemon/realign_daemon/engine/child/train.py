"""Training: a LoRA adapter learned from a data set by SFT, DPO or GRPO, from the start or from a checkpoint."""

from __future__ import annotations

import tarfile
from array import array
from itertools import islice
from pathlib import Path
from typing import cast

from realign_daemon.engine.api import Progress, Sha256, Train, Trained, TrainSettings
from realign_daemon.engine.child import lora
from realign_daemon.engine.child.checkpoint import CheckpointFile
from realign_daemon.engine.child.dataset import Dataset, Example, batches, read_dataset
from realign_daemon.engine.child.dpo import Dpo
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.grpo import Grpo
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.objective import Alive, Objective, Sft
from realign_daemon.engine.child.run import Run
from realign_daemon.engine.errors import BadTask


def train(
    loaded: Loaded,
    adapters: lora.Adapters,
    task: Train,
    *,
    dataset: Path,
    adapter: Path | None,
    checkpoint: CheckpointFile,
    output: Path,
    duty: Duty,
    alive: Alive,
    on_step: Progress,
) -> Trained:
    """Trains, writes the adapter's blob to `output` and leaves the model without any adapter.

    In a group every rank computes its part of every batch, and all have the same adapter at the end.

    Goes on from the checkpoint where there is one; the result is the same to the last bit. `on_step(done, total, note)`
    is called after every update, `alive` after every pass; what it raises ends the run. The result's adapter is
    empty: whoever stores the blob names it. The checkpoint stays, for the same caller to delete.

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
        saved = checkpoint.open(task, data)
        with duty.step():
            objective = _objective(task, loaded, data, alive, reference=saved.reference if saved else None)
        run = Run(loaded.network, adapters, objective, settings, loaded.peers)
        origin = ""
        if saved is not None:
            run.resume(saved)
            on_step(run.steps, settings.steps, f"resumed at step {run.steps}")
            origin = f", resumed at step {run.steps}"
        order = batches(data, batch_size=settings.batch_size, seed=task.seed)
        for fresh, again in islice(order, run.steps, settings.steps):
            checkpoint.save_if_due(run.checkpoint)
            examples: list[Example] = [*(data.train[i] for i in fresh), *(data.replay[i] for i in again)]
            with duty.step():
                loss = run.update(examples, loaded.vocabulary_size, alive)
                enough = run.evaluate_if_due()
            if enough:
                break
            on_step(run.steps, settings.steps, f"loss {loss:.4f}{origin}")
        lora.pack(output, dict(run.kept), shape)
        return run.result()
    finally:
        adapters.detach()


def _objective(
    task: Train, loaded: Loaded, data: Dataset, alive: Alive, *, reference: array[float] | None
) -> Objective:
    network, size, settings = loaded.network, loaded.vocabulary_size, task.settings
    match task.method:
        case "sft":
            return Sft(network, data, size, alive)
        case "dpo":
            return Dpo(network, data, size, alive, settings=settings, reference=reference, peers=loaded.peers)
        case "grpo":
            return Grpo(network, data, size, alive, settings=settings, reference=reference, peers=loaded.peers)


def _require_usable(settings: TrainSettings) -> None:
    if min(settings.rank, settings.steps, settings.batch_size, settings.evaluate_every) < 1 or settings.patience < 0:
        message = f"{settings} cannot train: rank, steps, batch_size and evaluate_every are at least 1, patience 0"
        raise BadTask(message)
    if not 0 < settings.clip_fraction < 1 or settings.kl_weight < 0:
        message = f"{settings} cannot train: clip_fraction lies between 0 and 1, kl_weight is at least 0"
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
