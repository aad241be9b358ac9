"""One seed of the simulation of whole daemons, from the first boot to the verdict on how it ended."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog
from tests.sim.daemon_oracle import violations
from tests.sim.daemon_trouble import NeverCalm, Trouble
from tests.sim.daemon_world import World

from realign_daemon.testing.virtual_loop import NeverEnds, VirtualLoop, run

LIMIT_S = 600.0  # of virtual time
IN_MEMORY = Path("/dev/shm")  # where there is no such folder, files go where all temporary ones do
SILENT = structlog.make_filtering_bound_logger(logging.CRITICAL)  # that nothing uses

Sabotage = Callable[[World], AbstractContextManager[None]]  # breaks a promise while it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a seed ended."""

    seed: int
    violations: tuple[str, ...]
    virtual_s: float
    trace_hash: str
    told: str  # what happened in it


def story(seed: int, *, sabotage: Sabotage | None = None) -> Outcome:
    """What came of the seed; the same every time."""
    parent = IN_MEMORY if IN_MEMORY.is_dir() else None
    # From inside: paths are in what nodes send each other, and so in the trace.
    with tempfile.TemporaryDirectory(dir=parent) as folder, contextlib.chdir(folder), silence():
        return _story(seed, sabotage or _untouched)


def _story(seed: int, sabotage: Sabotage) -> Outcome:
    worlds: list[tuple[World, Trouble]] = []

    async def main(loop: VirtualLoop) -> tuple[str, ...]:
        world = World(loop)
        trouble = Trouble(world)
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
    return Outcome(seed=seed, violations=found, virtual_s=world.loop.time(), trace_hash=trace_hash, told=told)


@contextlib.contextmanager
def silence() -> Generator[None]:
    """Nothing is logged: at thousands of seeds that would be most of the work."""
    before, asyncios = structlog.get_config(), logging.getLogger("asyncio")
    level = asyncios.level
    structlog.configure(wrapper_class=SILENT)
    asyncios.setLevel(logging.CRITICAL)  # it complains of tasks whose process was killed
    try:
        yield
    finally:
        structlog.configure(**before)
        asyncios.setLevel(level)


def _untouched(_: World) -> AbstractContextManager[None]:
    return contextlib.nullcontext()
