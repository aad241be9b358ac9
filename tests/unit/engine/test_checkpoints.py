"""Trainings in real children: killed and gone on with, the same on any day, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from realign_daemon.engine.api import LocalModel, ModelId, Sha256, Train, TrainSettings
from realign_daemon.engine.checkpoints import Checkpoints
from realign_daemon.engine.errors import BadTask, EngineDied
from realign_daemon.engine.supervisor import EngineSettings, EngineSupervisor
from realign_daemon.work.blobs import BlobStore

STEPS = 60
DAY_S = 86400


def training(model: LocalModel, blobs: BlobStore) -> Train:
    rows = [
        {
            "split": "valid" if place > 12 else "train",
            "prompt": [{"role": "user", "content": f"say {place}"}],
            "completion": str(place),
            "advantage": (-1) ** place,
            "group": str(place // 2),
        }
        for place in range(16)
    ]
    return Train(
        model=model.model,
        method="grpo",
        dataset=blobs.put_bytes("\n".join(map(json.dumps, rows)).encode()),
        settings=TrainSettings(rank=4, steps=STEPS, batch_size=4, evaluate_every=5),
        seed=1,
    )


def supervisor(folder: Path, blobs: BlobStore) -> EngineSupervisor:
    return EngineSupervisor(blobs, folder, EngineSettings(checkpoint_every_s=0.0))


async def test_a_killed_training_is_gone_on_with_by_another_daemon_to_the_same_adapter(
    tiny_model: LocalModel, blobs: BlobStore, tmp_path: Path
) -> None:
    task = training(tiny_model, blobs)
    calm = supervisor(tmp_path / "calm", blobs)
    await calm.load(tiny_model)
    undisturbed = await calm.perform(task)
    await calm.close()
    assert list((tmp_path / "calm" / "checkpoints").iterdir()) == []

    killed = supervisor(tmp_path / "killed", blobs)
    await killed.load(tiny_model)
    pid, seen = killed.status().pid, set[int]()

    def kill_after_some_checkpoints(*_: object) -> None:
        file = Checkpoints(tmp_path / "killed" / "checkpoints").path(task)
        seen.add(file.stat().st_ino)
        if len(seen) > 1:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(EngineDied):
        await killed.perform(task, progress=kill_after_some_checkpoints)
    await killed.close()

    heir, notes = supervisor(tmp_path / "killed", blobs), list[tuple[int, str]]()
    await heir.load(tiny_model)
    assert await heir.perform(task, progress=lambda done, _, note: notes.append((done, note))) == undisturbed
    await heir.close()
    first, note = notes[0]
    assert 0 < first < STEPS
    assert note == f"resumed at step {first}"
    assert [done for done, _ in notes] == list(range(first, STEPS + 1))
    assert list((tmp_path / "killed" / "checkpoints").iterdir()) == []


async def test_a_training_that_can_never_work_leaves_no_checkpoint(
    tiny_model: LocalModel, blobs: BlobStore, tmp_path: Path
) -> None:
    task = training(tiny_model, blobs)
    task = replace(task, settings=replace(task.settings, learning_rate=1e30))
    engine = supervisor(tmp_path / "cache", blobs)
    await engine.load(tiny_model)
    with pytest.raises(BadTask, match="lower the learning rate"):
        await engine.perform(task)
    await engine.close()
    assert list((tmp_path / "cache" / "checkpoints").iterdir()) == []


def test_every_task_has_a_file_of_its_own_and_old_ones_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    task = Train(model=ModelId("m"), method="sft", dataset=Sha256("d"), settings=TrainSettings(), seed=1)
    mine = checkpoints.path(task)
    assert mine == checkpoints.path(replace(task)) != checkpoints.path(replace(task, seed=2))
    for name, days in (("old", 15), (".half-written", 15), ("recent", 13)):
        file = mine.with_name(name)
        file.touch()
        age_s = file.stat().st_mtime - days * DAY_S
        os.utime(file, (age_s, age_s))
    checkpoints.path(task)
    assert [file.name for file in mine.parent.iterdir()] == ["recent"]
