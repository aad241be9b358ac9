"""VirtualClock: a machine's clocks in virtual time, each with its own error."""

from __future__ import annotations

import asyncio

from realign_daemon.testing.virtual_loop import VirtualLoop
from realign_daemon.testing.virtual_process import CURRENT

UNIX_S = 1_800_000_000.0  # when every simulation begins


class VirtualClock:
    """A Clock. A process that stood still finds it moved on, as CLOCK_BOOTTIME does over a machine's sleep."""

    def __init__(self, loop: VirtualLoop, *, continuous_skew_s: float = 0.0, unix_skew_s: float = 0.0) -> None:
        """The skews are what this machine shows more than others do; people set the second, and may set it again."""
        self._loop = loop
        self._continuous_skew_s = continuous_skew_s
        self.unix_skew_s = unix_skew_s

    def continuous(self) -> float:
        """See Clock."""
        return self._loop.time() + self._continuous_skew_s

    def awake(self) -> float:
        """See Clock. Of the process that asks."""
        process = CURRENT.get()
        return self._loop.time() - (process.slept_s if process else 0.0)

    def unix(self) -> float:
        """See Clock."""
        return UNIX_S + self._loop.time() + self.unix_skew_s

    async def sleep(self, seconds: float) -> None:
        """See Clock. As asyncio.sleep, in fewer calls: a daemon does it thousands of times."""
        loop = self._loop
        future = loop.create_future()
        timer = loop.call_at(loop.time() + seconds, _end, future)
        try:
            await future
        finally:
            if future.cancelled():
                timer.cancel()


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
