"""Real daemons that hold a model together which neither may hold alone."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import deep_model
from tests.e2e.conftest import Cluster

Realignctl = Callable[..., subprocess.CompletedProcess[str]]

# The pocket model fits each node, the deep one only both.
MEMORY_GB = "0.015"


@pytest.mark.long
async def test_a_model_that_no_node_may_hold_alone_is_held_by_two(
    cluster: Cluster, sums: Path, realignctl: Realignctl, tmp_path: Path
) -> None:
    deep_model.deepen(tmp_path / "models" / deep_model.NAME)
    settings = {"REALIGN_ENGINE__MODEL_MEMORY_GB": MEMORY_GB, "REALIGN_MODELS__DIRS": str(tmp_path / "models")}
    nodes = [cluster.start(name, **settings) for name in ("left", "right")]
    await cluster.settled()
    models = ("--target", "pocket", "--generator", deep_model.NAME, "--judge", deep_model.NAME)
    arguments = ("submit", "DPO pairs", "--source", str(sums), "--type", "dpo", *models, "--pilot-only", "--yes")
    running = asyncio.create_task(asyncio.to_thread(realignctl, *arguments, endpoint=await nodes[0].address()))
    parts = [(await node.until(lambda status: status.engine.HasField("group"))).engine.group for node in nodes]
    assert len({part.id for part in parts}) == 1
    assert sorted(part.rank for part in parts) == [0, 1]
    assert {(part.size, part.backend, frozenset(part.nodes)) for part in parts} == {
        (2, "ring", frozenset({"left", "right"}))
    }
    told = await running
    assert told.returncode == 0, told.stderr
