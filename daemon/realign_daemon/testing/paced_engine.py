"""PacedEngine: a scripted engine whose units take time, as much as each says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Blobs, ComputeBenchmark, Progress, Result, Task
from realign_daemon.testing.scripted_engine import ScriptedEngine


class PacedEngine(ScriptedEngine):
    """See ScriptedEngine."""

    def __init__(self, blobs: Blobs, *, clock: Clock, takes_s: Callable[[Task], float]) -> None:
        super().__init__(blobs)
        self.begun: list[Task] = []  # in order, whatever came of them
        self._clock = clock
        self._takes_s = takes_s

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        """See Engine."""
        self.begun.append(task)
        await self._clock.sleep(self._takes_s(task))
        return await super().perform(task, progress=progress)

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:
        """See Engine. Of one type alone: protobuf writes a map in any order, and a trace must come out the same."""
        found = await super().benchmark_compute(budget_s=budget_s)
        return replace(found, gflops={"float32": found.gflops["float32"]})
