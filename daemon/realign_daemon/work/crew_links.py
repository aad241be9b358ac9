"""Crew links: the connections to the nodes of one order, kept up for as long as the order runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Sha256
from realign_daemon.work.messages import Abandon, Capacity, Command, Event

log = structlog.get_logger()

REFUSED_S = 30.0  # how soon a node is asked again that could not load the model or get a file
ABANDON_S = 1.0
RECONNECT_S = 0.5


class Link(Protocol):
    """An open connection to a node's executor."""

    async def send(self, command: Command) -> None:
        """Raises ConnectionError when the node has gone."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Ends when the connection does."""
        ...


class Connections(Protocol):
    """Where links to nodes come from, this node included."""

    def connect(self, node: str) -> AbstractAsyncContextManager[Link]:
        """Raises ConnectionError when the node can't be reached, on entry or from the link's methods."""
        ...

    async def fetch_blob(self, node: str, sha256: Sha256) -> None:
        """Puts a blob of the node on local disk."""
        ...


@dataclass(slots=True, kw_only=True)
class CrewLink:
    """One that is open."""

    link: Link
    outbox: asyncio.Queue[Command] = field(default_factory=lambda: asyncio.Queue[Command](maxsize=64))
    capacity: Capacity | None = None  # None until the node has said what it can take
    asked_back: int = 0  # units revoked that have not been returned yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a node said."""

    node: str
    event: Event | None  # None: the connection has ended


class CrewLinks:
    """Links by node id. A connection that ends is made again; what nodes say waits to be heard."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._inbox = asyncio.Queue[Heard]()  # bounded by the units in flight
        self._refused: dict[str, tuple[str, float]] = {}  # node -> why it can't do this order now, and until when
        self._unreached: set[str] = set()  # nodes that could not be connected to, or stay so, last time
        self._ended: set[str] = set()  # nodes whose connection has ended, and nobody has heard of it yet
        self.open: dict[str, CrewLink] = {}

    def keep(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """Connects to these nodes; hangs up on all others, which it returns.

        A new connection waits until the end of the one before was heard, which would else be taken for its own.
        """
        for node in nodes:
            if node not in self._ended and (node not in self._tasks or self._tasks[node].done()):
                self._tasks[node] = asyncio.create_task(self._attend(node), name=f"link.{node[:8]}")
        gone = tuple(node for node in self._tasks if node not in nodes)
        for node in gone:
            self._tasks.pop(node).cancel()
            self._unreached.discard(node)
            self.lose(node)
        return gone

    def lose(self, node: str) -> None:
        """Forgets what the node said over a connection that has ended."""
        self.open.pop(node, None)
        self._ended.discard(node)

    async def send(self, node: str, command: Command) -> None:
        """Sends it in its turn."""
        await self.open[node].outbox.put(command)

    async def hear(self, *, within_s: float) -> list[Heard]:
        """All that came; waits for news at most for so long."""
        heard: list[Heard] = []
        try:
            async with asyncio.timeout(within_s):
                heard.append(await self._inbox.get())
        except TimeoutError:
            return heard
        while not self._inbox.empty():
            heard.append(self._inbox.get_nowait())
        return [news for news in heard if news.event is not None or news.node in self._ended]

    def refuse(self, node: str, reason: str) -> None:
        """Leaves the node alone for a while, or until it is connected anew: it can't do this order now."""
        self._refused[node] = (reason, self._clock.continuous() + REFUSED_S)

    def is_refused(self, node: str) -> bool:
        """Whether the node is left alone."""
        return node in self._refused and self._clock.continuous() < self._refused[node][1]

    def why_nobody_works(self) -> str:
        """What keeps the nodes from it; empty while they are being connected to."""
        reasons = [
            link.capacity.reason for link in self.open.values() if link.capacity is not None and link.capacity.reason
        ]
        refusals = [reason for node, (reason, _) in self._refused.items() if self.is_refused(node)]
        unreached = "no node of the plan can be reached" if self._unreached.issuperset(self._tasks) else ""
        return "; ".join((*refusals, *reasons)) or unreached

    async def abandon(self) -> None:
        """Tells all nodes that nobody wants the order any more."""
        await asyncio.gather(*map(_abandon, self.open.values()), return_exceptions=True)

    async def close(self) -> None:
        """Hangs up on all."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _attend(self, node: str) -> None:
        """One connection to a node, for as long as it lasts."""
        connection: CrewLink | None = None
        try:
            async with self._connections.connect(node) as link, asyncio.TaskGroup() as group:
                self.open[node] = connection = CrewLink(link=link)
                self._refused.pop(node, None)
                self._unreached.discard(node)
                sender = group.create_task(_send(connection), name=f"send.{node[:8]}")
                async for event in link.events():
                    await self._inbox.put(Heard(node=node, event=event))
                sender.cancel()
        except* ConnectionError as errors:
            self._unreached.add(node)
            log.info("link.lost", node=node, reason=str(errors.exceptions[0]))
        finally:
            if connection is not None and self.open.get(node) is connection:
                self._ended.add(node)
                self._inbox.put_nowait(Heard(node=node, event=None))
        await self._clock.sleep(RECONNECT_S)


async def _send(connection: CrewLink) -> None:
    while True:
        await connection.link.send(await connection.outbox.get())


async def _abandon(connection: CrewLink) -> None:
    while not connection.outbox.empty():  # what was not sent yet must not follow
        connection.outbox.get_nowait()
    async with asyncio.timeout(ABANDON_S):
        await connection.link.send(Abandon())
