"""Residue: memory that the system did not give back when a rank was killed, which only a restart brings back."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from realign_daemon.clock import Clock

# Such reports speak of tens of gigabytes; this much comes and goes by itself.
_LEAST_BYTES = 2**30
_RETURN_S = 3.0  # in which the system takes back what a process had
_LOOK_S = 0.25


def wired_bytes() -> int | None:
    """Memory that cannot be paged out; None where the system does not say, which is no Mac."""
    wired: object = getattr(psutil.virtual_memory(), "wired", None)
    return wired if isinstance(wired, int) else None


def unreturned_bytes(*, before: int, after: int, held: int) -> int:
    """How much of what a process held did not come back: nothing, unless it is much and half of it at least."""
    kept = after - before
    return kept if kept >= max(_LEAST_BYTES, held / 2) else 0


class Residue:
    """Compares the memory before a rank's start with that after its end, and sees whether it comes back later."""

    def __init__(self, clock: Clock, *, wired: Callable[[], int | None] = wired_bytes) -> None:
        self._clock, self._wired = clock, wired
        self._before: int | None = None
        self._held = self._kept = 0

    def note(self) -> None:
        """A rank is about to start."""
        self._before, self._held, self._kept = self._wired(), 0, 0

    async def settle(self, *, held_bytes: int) -> None:
        """A rank that held so much has ended: returns when its memory is back, or does not come any more."""
        self._held = held_bytes
        deadline_s = self._clock.continuous() + _RETURN_S
        while (kept := self._missing()) and self._clock.continuous() < deadline_s:
            await self._clock.sleep(_LOOK_S)
        self._kept = kept

    def reason(self) -> str:
        """Why no model should be loaded here, to be read after the node's name; "" when one may.

        What somebody else takes after the rank's end is theirs; what has come back once is not missed again.
        """
        self._kept = min(self._kept, self._missing())
        return (
            f"{self._kept / 1e9:.1f} GB of its memory did not come back from a group that ended: restart that Mac"
            if self._kept
            else ""
        )

    def _missing(self) -> int:
        after = self._wired()
        if self._before is None or after is None:
            return 0
        return unreturned_bytes(before=self._before, after=after, held=self._held)
