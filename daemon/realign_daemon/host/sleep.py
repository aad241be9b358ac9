"""Sleep: how long this machine slept, noticed once it is awake again."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.clock import Clock

# The two clocks are read one after the other, and macOS derives one of them from the time of day, which is slewed.
LEAST_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """One sleep, as people are told of it."""

    slept_s: float
    woke_unix_s: float


class SleepWatch:
    """Compares the clock that goes on during sleep with the one that does not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = self._offset()
        self.last: Sleep | None = None  # since this watch began

    def look(self) -> Sleep | None:
        """The sleep that ended since the last look; None when there was none."""
        offset_s = self._offset()
        slept_s, self._offset_s = offset_s - self._offset_s, offset_s
        if slept_s < LEAST_S:
            return None
        self.last = Sleep(slept_s=slept_s, woke_unix_s=self._clock.unix())
        return self.last

    def _offset(self) -> float:
        return self._clock.continuous() - self._clock.awake()
