"""Pulse: this node's beats, for as many connections as listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from realign_daemon.cluster.beats import Beat


class Pulse:
    """The last beat, and every new one. Who is slow misses some."""

    def __init__(self, beat_s: float) -> None:
        """One beat in so many seconds, more where `hurry` says so."""
        self._beat_s = beat_s
        self.last: Beat | None = None
        self._due_s = 0.0
        self._next = asyncio.Event()
        self._has_stopped = False

    @property
    def sequence(self) -> int:
        """The number of the next beat."""
        return self.last.sequence + 1 if self.last else 1

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for one, in continuous seconds."""
        return now_s >= self._due_s

    def hurry(self) -> None:
        """There is something to say now."""
        self._due_s = 0.0

    def send(self, beat: Beat, now_s: float) -> None:
        """The next beat, to all who listen."""
        self.last = beat
        self._due_s = now_s + self._beat_s
        self._wake()

    def stop(self) -> None:
        """There are no more: others know at once that this node stops."""
        self._has_stopped = True
        self._wake()

    async def beats(self) -> AsyncIterator[Beat]:
        """The last one now, and every new one, until the end."""
        while not self._has_stopped:
            beat, following = self.last, self._next
            if beat:
                yield beat
            await following.wait()

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()
