"""Real daemons that hold a model together which neither may hold alone."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests import deep_model
from tests.chaos.recovery import unlikeness
from tests.chaos.rows import read_rows
from tests.e2e.conftest import Cluster, Daemon

Realignctl = Callable[..., subprocess.CompletedProcess[str]]

# The pocket model fits each node, the deep one only both: equal ones share each layer, unequal ones divide the layers.
MEMORY_GB = {"tensor": {"left": "0.015", "right": "0.015"}, "pipeline": {"left": "0.016", "right": "0.010"}}
PLENTY_GB = "1.0"


@pytest.fixture
def chapter(sums: Path, tmp_path: Path) -> Path:
    """A quarter of the sums."""
    path = tmp_path / "chapter.md"
    path.write_text("\n\n".join(sums.read_text().split("\n\n")[:2]))
    return path


@pytest.mark.long
@pytest.mark.parametrize("parallelism", MEMORY_GB)
async def test_a_model_that_no_node_may_hold_alone_is_held_by_two_and_gives_the_rows_of_one_that_holds_it(
    parallelism: str, cluster: Cluster, chapter: Path, realignctl: Realignctl, tmp_path: Path
) -> None:
    deep_model.deepen(tmp_path / "models" / deep_model.NAME)
    wish = ("--type", "sft", "--model", deep_model.NAME, "--until", "format_conversion", "--count", "20")
    arguments = ("submit", "SFT examples", "--source", str(chapter), *wish, "--yes")

    async def submitted(nodes: Sequence[Daemon]) -> Path:
        """Where the rows are, of the one node that has them."""
        told = await asyncio.to_thread(realignctl, *arguments, endpoint=await nodes[0].address())
        assert told.returncode == 0, told.stderr
        (rows,) = (path.parent for node in nodes for path in node.data_dir.glob("curated/*/train.jsonl"))
        return rows

    def settings(memory_gb: str) -> dict[str, str]:
        models = {"REALIGN_MODELS__DIRS": str(tmp_path / "models")}
        return {**models, "REALIGN_ENGINE__MODEL_MEMORY_GB": memory_gb}

    nodes = [cluster.start(name, **settings(gb)) for name, gb in MEMORY_GB[parallelism].items()]
    await cluster.settled()
    running = asyncio.create_task(submitted(nodes))
    parts = [(await node.until(lambda status: status.engine.HasField("group"))).engine.group for node in nodes]
    assert len({part.id for part in parts}) == 1
    assert sorted(part.rank for part in parts) == [0, 1]
    assert {(part.size, part.backend, part.parallelism, frozenset(part.nodes)) for part in parts} == {
        (2, "ring", parallelism, frozenset({"left", "right"}))
    }
    together = await running
    for node in nodes:
        node.stop()
    other = Cluster(tmp_path / "other", cluster.benchmark, cluster.stack)
    one = other.start("alone", **settings(PLENTY_GB))
    await other.settled()
    alone = read_rows(await submitted([one]))
    assert alone.count > 0
    assert unlikeness(read_rows(together).unlike(alone), alone, is_exact=parallelism == "pipeline") == []
