"""Clock: the time that timeouts and figures are reckoned in, behind a protocol so that tests can move it."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Protocol


class Clock(Protocol):
    """What the daemon may know of time."""

    def continuous(self) -> float:
        """Seconds since some fixed moment. Never goes back, and counts the time that the machine slept."""
        ...

    def awake(self) -> float:
        """Seconds since some fixed moment during which the machine did not sleep: `continuous` less its sleep."""
        ...

    def unix(self) -> float:
        """Seconds since 1970, UTC. May jump; only for display and for records that people read."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after this time of running; a machine that sleeps in between makes it longer."""
        ...


class SystemClock:
    """The machine's own clocks.

    `time.monotonic` stands still while a machine sleeps, on Linux and on macOS alike; a laptop that wakes after an hour
    would believe its leases for an hour longer. Linux counts sleep in CLOCK_BOOTTIME, macOS in CLOCK_MONOTONIC.
    """

    def continuous(self) -> float:
        """See Clock."""
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.clock_gettime(time.CLOCK_MONOTONIC)

    def awake(self) -> float:
        """See Clock."""
        return time.monotonic()

    def unix(self) -> float:
        """See Clock."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See Clock."""
        await asyncio.sleep(seconds)
