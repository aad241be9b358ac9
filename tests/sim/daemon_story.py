"""One seed of the simulation of whole daemons, from the first boot to the verdict on how it ended."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Generator, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import structlog
from tests.sim.daemon_oracle import violations
from tests.sim.daemon_scene import Scene
from tests.sim.daemon_shortcuts import shortcuts
from tests.sim.daemon_trouble import NeverCalm, Trouble
from tests.sim.daemon_world import World

from realign_daemon.testing.virtual_loop import NeverEnds, VirtualLoop, run
from realign_daemon.testing.virtual_process import CURRENT

LIMIT_S = 600.0  # of virtual time
IN_MEMORY = Path("/dev/shm")  # where there is no such folder, files go where all temporary ones do
QUIET = structlog.make_filtering_bound_logger(logging.ERROR)

Sabotage = Callable[[World], AbstractContextManager[None]]  # breaks a promise while it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a seed ended."""

    seed: int
    violations: tuple[str, ...]
    virtual_s: float
    trace_hash: str
    told: str  # what happened in it
    cpu_s: float  # that it took


def story(seed: int, *, sabotage: Sabotage | None = None, scene: Scene | None = None) -> Outcome:
    """What came of the seed; the same every time, but for the processor's."""
    began_s = time.process_time()
    parent = IN_MEMORY if IN_MEMORY.is_dir() else None
    # From inside: paths are in what nodes send each other, and so in the trace.
    with tempfile.TemporaryDirectory(dir=parent) as folder, contextlib.chdir(folder), shortcuts(), silence() as defects:
        outcome = _story(seed, sabotage or _untouched, scene)
    found = (*outcome.violations, *dict.fromkeys(defects))
    return replace(outcome, violations=found, cpu_s=time.process_time() - began_s)


def _story(seed: int, sabotage: Sabotage, scene: Scene | None) -> Outcome:
    worlds: list[tuple[World, Trouble]] = []

    async def main(loop: VirtualLoop) -> tuple[str, ...]:
        world = World(loop, size=scene and scene.size)
        trouble = Trouble(world, scene and scene.play)
        worlds.append((world, trouble))
        with sabotage(world):
            try:
                await trouble.story()
            except NeverCalm as error:
                return (f"I6: {error}", *violations(world, trouble))
            else:
                return tuple(violations(world, trouble))
            finally:
                world.switch_off()

    trace_hash = ""
    try:
        found, trace_hash = run(main, seed, limit_s=LIMIT_S)
    except NeverEnds as error:
        found = (f"I6: {error}",)
    ((world, trouble),) = worlds
    for node in world.nodes:
        node.connection.end()
    told = "; ".join(trouble.events)
    virtual_s = world.loop.time()
    return Outcome(seed=seed, violations=found, virtual_s=virtual_s, trace_hash=trace_hash, told=told, cpu_s=0.0)


@contextlib.contextmanager
def silence() -> Generator[list[str]]:
    """Nothing is logged: at thousands of seeds that would be most of the work. Gives the defects that daemons met."""
    defects: list[str] = []

    def note(_logger: object, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
        process = CURRENT.get()
        if event.get("exc_info") and process is not None and not process.is_dead:  # a dead one falls to pieces
            defects.append(f"I6: {process.name} met a defect, {event['event']}: {sys.exc_info()[1]!r}")
        raise structlog.DropEvent

    before, asyncios = structlog.get_config(), logging.getLogger("asyncio")
    level = asyncios.level
    structlog.configure(wrapper_class=QUIET, processors=[note])
    asyncios.setLevel(logging.CRITICAL)  # it complains of tasks whose process was killed
    try:
        yield defects
    finally:
        structlog.configure(**before)
        asyncios.setLevel(level)


def _untouched(_: World) -> AbstractContextManager[None]:
    return contextlib.nullcontext()
