"""Memory links: connections to executors in the same process, which a test can cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from realign_daemon.engine.api import Sha256
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.executor import Executor
from realign_daemon.work.messages import Command, Event
from realign_daemon.work.tray import Session


class MemoryLink:
    """A link to one executor."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._events = asyncio.Queue[Event | None]()
        self._session: Session = executor.open(self._events.put_nowait)
        self.is_cut = False

    async def send(self, command: Command) -> None:
        """See dispatcher.Link."""
        if self.is_cut:
            raise ConnectionError("the link was cut")
        self._executor.handle(self._session, command)

    async def events(self) -> AsyncIterator[Event]:
        """See dispatcher.Link."""
        while (event := await self._events.get()) is not None:
            yield event
        raise ConnectionError("the link was cut")

    def cut(self) -> None:
        """Nothing passes any more; events that were under way are lost."""
        self.is_cut = True
        while not self._events.empty():
            self._events.get_nowait()
        self.close()

    def close(self) -> None:
        """Ends the executor's side."""
        if self._session.is_open:
            self._executor.close(self._session)
        self._events.put_nowait(None)


class MemoryLinks:
    """Connections to executors by node id."""

    def __init__(self, executors: Mapping[str, Executor], stores: Mapping[str, BlobStore], home: str) -> None:
        self._executors = executors
        self._stores = stores
        self._home = home
        self._open: dict[str, MemoryLink] = {}
        self._down: set[str] = set()

    def cut(self, node: str) -> None:
        """Takes a node away until it is healed."""
        self._down.add(node)
        if node in self._open:
            self._open.pop(node).cut()

    def heal(self, node: str) -> None:
        """Brings a node back."""
        self._down.discard(node)

    @asynccontextmanager
    async def connect(self, node: str) -> AsyncGenerator[MemoryLink]:
        """See dispatcher.Connections."""
        if node in self._down:
            raise ConnectionError(f"{node} is away")
        link = MemoryLink(self._executors[node])
        self._open[node] = link
        try:
            yield link
        finally:
            self._open.pop(node, None)
            link.close()

    async def fetch_blob(self, node: str, sha256: Sha256) -> None:
        """See dispatcher.Connections."""
        if node != self._home and not self._stores[self._home].has(sha256):
            self._stores[self._home].put_bytes(self._stores[node].read(sha256))
