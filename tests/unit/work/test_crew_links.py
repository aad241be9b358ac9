"""What became of the connections of an order is heard in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from realign_daemon.engine.api import Sha256
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.work.crew_links import CrewLinks, Heard, Link
from realign_daemon.work.messages import Command, Event, Returned

WORD = Returned(keys=())


class Wire:
    """Connections that end when they are told to."""

    def __init__(self) -> None:
        self.ends: list[asyncio.Event] = []

    @asynccontextmanager
    async def connect(self, node: str) -> AsyncGenerator[Link]:
        self.ends.append(end := asyncio.Event())
        yield Line(end)

    async def fetch_blob(self, node: str, sha256: Sha256) -> None:
        raise ConnectionError


class Line:
    def __init__(self, end: asyncio.Event) -> None:
        self._end = end

    async def send(self, command: Command) -> None:
        raise ConnectionError

    async def events(self) -> AsyncIterator[Event]:
        yield WORD
        await self._end.wait()


async def settled() -> None:
    """Lets all tasks do what they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_end_of_a_connection_is_heard_before_there_is_a_new_one_and_is_not_taken_for_its_own() -> None:
    wire, clock = Wire(), ManualClock()
    links = CrewLinks(wire, clock)
    links.keep(["b"])
    await settled()
    wire.ends[0].set()
    await settled()
    clock.advance(60.0)  # whoever should hear of it was busy
    await settled()
    links.keep(["b"])
    await settled()
    assert len(wire.ends) == 1
    assert [news.event for news in await links.hear(within_s=0)] == [WORD, None]
    links.lose("b")
    links.keep(["b"])
    await settled()
    assert list(links.open) == ["b"]
    assert [news.event for news in await links.hear(within_s=0)] == [WORD]
    await links.close()


async def test_a_node_that_left_the_plan_and_came_back_is_not_lost_for_how_its_first_connection_ended() -> None:
    wire = Wire()
    links = CrewLinks(wire, ManualClock())
    links.keep(["b"])
    await settled()
    wire.ends[0].set()
    await settled()
    assert links.keep([]) == ("b",)
    links.keep(["b"])
    await settled()
    assert await links.hear(within_s=0) == [Heard(node="b", event=WORD)] * 2
    assert list(links.open) == ["b"]
    await links.close()
