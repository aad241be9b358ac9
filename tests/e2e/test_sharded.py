"""Real daemons that hold a model together which neither may hold alone."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from tests.e2e.conftest import Cluster

from realign_daemon.engine.models import POCKET_FOLDER

Realignctl = Callable[..., subprocess.CompletedProcess[str]]

LAYERS, MORE_LAYERS = 6, 12
# With the cache of one sequence the planner reckons 8 MB for the pocket model and 23 MB for the deep one: the first
# fits each node, the second only both.
MEMORY_GB = "0.015"


def deepen(folder: Path) -> None:
    """The pocket model with layers behind its own that add nothing: three times its size, and the same answers."""
    shutil.copytree(POCKET_FOLDER, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": LAYERS + MORE_LAYERS, "mlp_only_layers": list(range(LAYERS + MORE_LAYERS))}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors.index.json").unlink()
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, body = cast("dict[str, Any]", json.loads(data[8 : 8 + length])), data[8 + length :]
    for name, entry in dict(header).items():
        if f".layers.{LAYERS - 1}." not in name:
            continue
        begin, end = entry["data_offsets"]
        adds = name.endswith(("o_proj.weight", "down_proj.weight"))
        for layer in range(LAYERS, LAYERS + MORE_LAYERS):
            offsets = [len(body), len(body) + end - begin]
            header[name.replace(f".{LAYERS - 1}.", f".{layer}.")] = {**entry, "data_offsets": offsets}
            body += bytes(end - begin) if adds else body[begin:end]
    text = json.dumps(header).encode()
    weights.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.mark.long
async def test_a_model_that_no_node_may_hold_alone_is_held_by_two(
    cluster: Cluster, sums: Path, realignctl: Realignctl, tmp_path: Path
) -> None:
    deepen(tmp_path / "models" / "deep-pocket")
    settings = {"REALIGN_ENGINE__MODEL_MEMORY_GB": MEMORY_GB, "REALIGN_MODELS__DIRS": str(tmp_path / "models")}
    nodes = [cluster.start(name, **settings) for name in ("left", "right")]
    await cluster.settled()
    models = ("--target", "pocket", "--generator", "deep-pocket", "--judge", "deep-pocket")
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
