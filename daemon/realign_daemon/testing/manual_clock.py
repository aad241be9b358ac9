"""ManualClock: a Clock that moves when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools

PASSES = 50  # turns of the loop after a wake-up: enough for a chain of that many awaits that need no real I/O


class ManualClock:
    """Starts at the given times and stands still until advanced."""

    def __init__(self, *, continuous_s: float = 1000.0, unix_s: float = 1_800_000_000.0) -> None:
        """Both in seconds."""
        self._continuous_s = continuous_s
        self._slept_s = 0.0
        self._unix_s = unix_s
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def continuous(self) -> float:
        """See Clock."""
        return self._continuous_s

    def awake(self) -> float:
        """See Clock."""
        return self._continuous_s - self._slept_s

    def unix(self) -> float:
        """See Clock."""
        return self._unix_s

    async def sleep(self, seconds: float) -> None:
        """Returns once the clock was advanced this far; one turn of the loop for zero or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._continuous_s + seconds, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Moves both clocks on and wakes whoever slept until then; they run when the test next awaits."""
        self._continuous_s += seconds
        self._unix_s += seconds
        while self._sleepers and self._sleepers[0][0] <= self._continuous_s:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def sleep_through(self, seconds: float) -> None:
        """Moves on as while the machine sleeps: sleepers sleep so much longer."""
        self._slept_s += seconds
        self._sleepers = [(due_s + seconds, order, woken) for due_s, order, woken in self._sleepers]
        self.advance(seconds)

    def set_unix(self, unix_s: float) -> None:
        """Sets the wall clock, as people and time servers do."""
        self._unix_s = unix_s

    async def run_for(self, seconds: float) -> None:
        """Moves on from sleeper to sleeper, each at its own moment, and lets what they wake run; then to the end."""
        end_s = self._continuous_s + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            self.advance(max(0.0, self._sleepers[0][0] - self._continuous_s))
            await self._settle()
        self.advance(end_s - self._continuous_s)
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(PASSES):
            await asyncio.sleep(0)
