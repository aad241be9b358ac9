"""What a node alone is asked to find for a canary, before it is a rank."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from realign_daemon.engine.api import LocalModel, ModelId, ModelShape
from realign_daemon.engine.supervisor import needed_bytes
from realign_daemon.groups import canary
from realign_daemon.groups.berth import Berth
from realign_daemon.groups.messages import Prepare
from realign_daemon.groups.references import References
from realign_daemon.groups.residue import Residue
from realign_daemon.testing.manual_clock import ManualClock
from realign_planner.models import CACHE_TOKENS

MODEL = LocalModel(
    name="large",
    model=ModelId("f" * 64),
    path=Path("/nowhere"),
    params_b=32.0,
    active_params_b=32.0,
    bits=4,
    weight_bytes=18 * 10**9,
    shape=ModelShape(layers=64, heads=40, kv_heads=8, kv_values=2048, tensor=True, pipeline=True),
)
WANTED = Prepare(
    group="g",
    nodes=("studio", "book"),
    rank=1,
    backend="ring",
    parallelism="tensor",
    split=(),
    model=MODEL.name,
    model_id=MODEL.model,
    mlx="1",
)


@dataclass
class Process:
    """Finds the same whatever it is asked."""

    pid: int = 0
    in_flight: int = 0
    asked: list[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])

    async def request(self, body: Mapping[str, object], **_: object) -> dict[str, Any]:
        self.asked.append(body)
        return {"value": [[-1.0]] * 7}

    async def kill(self, cause: str) -> None:
        """It holds nothing."""


async def canaries_asked(folder: Path, spare_bytes: int) -> int:
    process, clock = Process(), ManualClock()

    async def start(*_: object, **__: object) -> Process:
        return process

    berth = Berth(
        find=lambda _: MODEL,
        start=cast("Any", start),
        spare_bytes=lambda: spare_bytes,
        references=References(folder / "references.json", mlx="1"),
        residue=Residue(clock, wired=lambda: None),
        mlx="1",
        clock=clock,
    )
    async with berth.occupy(WANTED) as place:
        found = await place.prepare(lambda: asyncio.sleep(0))
    asked = sum(body["op"] == "canary" for body in process.asked)
    assert len(found) == 7 * asked
    return asked


@pytest.mark.parametrize("sequences", [1, 2, 4, 8])
async def test_a_node_alone_reads_no_canary_whose_cache_has_no_room_beside_the_model(
    sequences: int, tmp_path: Path
) -> None:
    fitting = [length for length in range(canary.OF_ONE_NODE) if canary.most_tokens(length) <= sequences * CACHE_TOKENS]
    assert await canaries_asked(tmp_path, needed_bytes(MODEL, sequences=sequences)) == len(fitting)


async def test_a_node_that_has_no_room_for_the_whole_model_is_asked_for_nothing_alone(tmp_path: Path) -> None:
    assert await canaries_asked(tmp_path, needed_bytes(MODEL) - 1) == 0


async def test_however_much_room_there_is_the_longest_are_left_to_the_group(tmp_path: Path) -> None:
    assert await canaries_asked(tmp_path, 10**12) == canary.OF_ONE_NODE
