"""Confirmations: results of a group that are held back until a canary after them was good, and when one is due."""

from __future__ import annotations

import asyncio

from realign_daemon.engine.errors import GroupDied

EVERY_RESULTS = 64
EVERY_S = 10.0
FIRST_S = 2.0  # after it was formed a group shows soon that it gives good results: what is lost with it later is less
IDLE_S = 0.05  # a group with nothing in flight for so long has time: between two units pass milliseconds
# What runs must end before a canary, so that it costs more than its own time; of all time it takes this share at most.
_SHARE = 0.1


class Confirmations:
    """Each result waits in a future of its own."""

    def __init__(self, *, now_s: float) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._sung_for: list[asyncio.Future[None]] = []
        self._oldest_s = self._last_s = self._began_s = now_s
        self._cost_s = 0.0
        self.has_confirmed = False  # some result was good

    @property
    def held(self) -> int:
        """How many results wait."""
        return sum(not waiting.done() for waiting in (*self._waiting, *self._sung_for))

    def add(self, *, now_s: float) -> asyncio.Future[None]:
        """One more result; the future ends when it is good, or raises GroupDied."""
        if not self._waiting:
            self._oldest_s = now_s
        self._waiting.append(asyncio.get_running_loop().create_future())
        return self._waiting[-1]

    def is_due(self, *, now_s: float, idle_s: float | None) -> bool:
        """Whether a canary should be sung. `idle_s` is for how long nothing was in flight, None while something is."""
        if not self._waiting:
            return False
        if idle_s is not None:
            return idle_s >= IDLE_S
        patience_s = EVERY_S if self.has_confirmed else FIRST_S
        is_wanted = len(self._waiting) >= EVERY_RESULTS or now_s - self._oldest_s >= patience_s
        return is_wanted and now_s - self._last_s >= self._cost_s * (1 - _SHARE) / _SHARE

    def begin(self, *, now_s: float) -> None:
        """A canary is sung for all that wait now."""
        self._sung_for, self._waiting = [*self._sung_for, *self._waiting], []
        self._began_s = now_s

    def good(self, *, now_s: float) -> None:
        """It found what it should."""
        self._cost_s, self._last_s = now_s - self._began_s, now_s
        self.has_confirmed = self.has_confirmed or bool(self._sung_for)
        for waiting in self._sung_for:
            if not waiting.done():
                waiting.set_result(None)
        self._sung_for = []

    def bad(self, died: GroupDied) -> None:
        """Nothing that waits is good."""
        for waiting in (*self._sung_for, *self._waiting):
            if not waiting.done():
                waiting.set_exception(died)
                waiting.exception()  # whoever gave up waiting needs no warning in the log
        self._sung_for, self._waiting = [], []
