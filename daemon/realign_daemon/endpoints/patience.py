"""Patience: how long to wait before a server is asked again, and how often it may be asked at all."""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from realign_daemon.clock import Clock

# A server that is restarted or swaps models is back within seconds; one that says "too many" means minutes.
BROKEN_TRIES: Final = 4
BUSY_TRIES: Final = 10
LATE_TRIES: Final = 2  # one that is alive may have had others to serve; that twice means an answer that takes too long
FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
LONGEST_ASKED_S: Final = 300.0  # a server that wants to be left alone for longer is of no use now


def backoff_s(tries: int, *, chance: random.Random) -> float:
    """The wait after so many failed tries: doubled each time, at random between half of that and all of it.

    All jitter and no floor would have a crowd of requests come back at once now and then (the "equal jitter" of AWS's
    architecture blog, 2015).
    """
    whole_s = min(LONGEST_S, FIRST_S * 2 ** (tries - 1))
    return whole_s * (0.5 + chance.random() / 2)


def asked_s(retry_after: str, *, now_unix_s: float) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date; None where it says neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now_unix_s)
    except (ValueError, OverflowError):
        return None


@dataclass(slots=True, kw_only=True)
class Tries:
    """How often one request has gone wrong, and in which way. `most` bounds all of them together."""

    most: int
    busy: int = 0
    broken: int = 0
    late: int = 0

    @property
    def count(self) -> int:
        """Of all ways."""
        return self.busy + self.broken + self.late

    @property
    def are_over(self) -> bool:
        """Whether it is not to be asked again."""
        is_hopeless = self.busy >= BUSY_TRIES or self.broken >= BROKEN_TRIES or self.late >= LATE_TRIES
        return is_hopeless or self.count >= self.most


class Turnstile:
    """Lets requests through one after the other: so many a minute, and none while the server wants to be left alone."""

    def __init__(self, clock: Clock, *, per_minute: float) -> None:
        """0 a minute: as many as come."""
        self._clock = clock
        self._every_s = 60.0 / per_minute if per_minute else 0.0
        self._next_s = 0.0

    async def pass_through(self) -> None:
        """Returns when it is this request's turn."""
        now_s = self._clock.continuous()
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + self._every_s
        while (wait_s := turn_s - self._clock.continuous()) > 0:
            await self._clock.sleep(wait_s)

    def hold(self, wait_s: float) -> None:
        """Lets nobody through for so long."""
        self._next_s = max(self._next_s, self._clock.continuous() + wait_s)
