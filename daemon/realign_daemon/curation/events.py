"""Events of a job, for whoever watches: the record after the event, what kind it was, one line for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

WATCHER_QUEUE = 256  # a watcher that lags loses progress events, never the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNews:
    """One event. The record itself is read when the event is delivered: it only ever moves on."""

    kind: str
    text: str
    at_unix_s: float


@dataclass(slots=True)
class Bulletin:
    """The watchers of one job."""

    _watchers: list[asyncio.Queue[JobNews]] = field(default_factory=list[asyncio.Queue[JobNews]])

    def post(self, news: JobNews) -> None:
        """Gives the news to every watcher. Progress is left out where a watcher has news waiting anyway."""
        for watcher in self._watchers:
            if news.kind == "progress" and not watcher.empty():
                continue
            if watcher.full():
                watcher.get_nowait()
            watcher.put_nowait(news)

    @contextmanager
    def watch(self) -> Generator[AsyncIterator[JobNews]]:
        """News from now on."""
        queue = asyncio.Queue[JobNews](maxsize=WATCHER_QUEUE)
        self._watchers.append(queue)

        async def news() -> AsyncIterator[JobNews]:
            while True:
                yield await queue.get()

        try:
            yield news()
        finally:
            self._watchers.remove(queue)
