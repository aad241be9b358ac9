"""What a node alone finds, found out once: it takes a process of its own and two seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.contract.groups.stations import question

from realign_daemon.engine.api import Generated, LocalModel
from realign_daemon.engine.codec import decode_result, encode
from realign_daemon.engine.environment import EngineSettings
from realign_daemon.grouping import mlx_version
from realign_daemon.groups import canary
from realign_daemon.groups.references import References
from realign_daemon.groups.singing import reference
from realign_daemon.groups.starter import Starter

QUESTIONS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    canaries: Path  # the file in which a node keeps what it found for them
    answers: tuple[Generated, ...]  # to the first questions


@pytest.fixture(scope="session")
def alone(real_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    return asyncio.run(_found(real_model, tmp_path_factory.mktemp("alone")))


@pytest.fixture(scope="session")
def canaries(alone: Alone) -> Path:
    return alone.canaries


async def _found(model: LocalModel, folder: Path) -> Alone:
    process = await Starter(folder, EngineSettings())(None, model=model.name, on_event=lambda _: None)
    try:
        await process.request({"op": "load", "path": str(model.path)}, stall_timeout_s=60.0)
        canaries = folder / "canaries.json"
        ask = partial(process.request, stall_timeout_s=60.0)
        found = await reference(ask, model.model, canary.OF_ONE_NODE)
        References(canaries, mlx=mlx_version()).keep(model.model, found)
        bodies = (
            {"op": "task", "task": encode(question(model, seed)), "adapter": "", "adapter_path": ""}
            for seed in range(QUESTIONS)
        )
        replies = await asyncio.gather(*(process.request(body, stall_timeout_s=60.0) for body in bodies))
    finally:
        await process.kill("it has said what it finds")
    answers = tuple(decode_result(reply["result"]) for reply in replies)
    return Alone(canaries=canaries, answers=tuple(one for one in answers if isinstance(one, Generated)))
