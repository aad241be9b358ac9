"""A training as the head's engine has it done by a group: the adapter that the head alone would make."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from safetensors.numpy import load
from tests.contract.engine.test_group_training import SETTINGS, TOLERANCE, rows
from tests.contract.groups.stations import Stations, stations

from realign_daemon.engine.api import LocalModel, Train, Trained
from realign_daemon.work.blobs import BlobStore


async def test_a_group_trains_the_adapter_that_its_head_alone_would(
    tmp_path: Path, real_model: LocalModel, canaries: Path
) -> None:
    async with stations(tmp_path, real_model, real_model, canaries=canaries) as nodes:
        blobs = BlobStore(tmp_path / nodes.head.name / "blobs")
        dataset = blobs.put_bytes("\n".join(map(json.dumps, rows("dpo"))).encode())
        task = Train(model=real_model.model, method="dpo", dataset=dataset, settings=SETTINGS, seed=3)
        engine, notes = nodes.head.grouping.engine, list[str]()

        async def trained() -> tuple[Trained, Mapping[str, Any]]:
            result = cast(
                "Trained", await engine.perform(task, progress=lambda _done, _total, note: notes.append(note))
            )
            return result, weights_in(blobs.path(result.adapter))

        await engine.load(real_model)
        alone, weights = await trained()
        blobs.path(alone.adapter).unlink()
        await engine.load(real_model, nodes.wish(parallelism="data"))
        notes.clear()
        together, same_weights = await trained()
        assert weights.keys() == same_weights.keys()
        for name, weight in weights.items():
            assert abs(weight - same_weights[name]).max() < TOLERANCE
        assert together.step_losses == pytest.approx(alone.step_losses, abs=TOLERANCE)
        assert together.trained_tokens == alone.trained_tokens
        assert notes, "its home hears how far it is"
        await confirmed(nodes)
        await engine.close()
        await nodes.until_nothing_is_left()


async def confirmed(nodes: Stations) -> None:
    confirmation = nodes.head.grouping.engine.confirmation()
    assert confirmation is not None
    await confirmation


def weights_in(adapter: Path) -> Mapping[str, Any]:
    with tarfile.open(adapter) as blob:
        return load(cast("Any", blob.extractfile("adapters.safetensors")).read())
