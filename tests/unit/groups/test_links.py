"""A head waits a while for its connection to the node of a rank."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from realign_daemon.groups.roll import LINKED_S, GroupLink, linked
from realign_daemon.testing.manual_clock import ManualClock

LINK = cast("GroupLink", object())


class Line:
    """To a node that is connected at some time."""

    def __init__(self, clock: ManualClock, *, connected_s: float) -> None:
        self._clock, self._connected_s = clock, clock.continuous() + connected_s
        self.is_open = False

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[GroupLink]:
        if self._clock.continuous() < self._connected_s:
            raise ConnectionError("the node is not connected")
        self.is_open = True
        try:
            yield LINK
        finally:
            self.is_open = False


async def test_a_node_whose_connection_comes_late_is_linked_and_the_link_ends_with_the_block() -> None:
    clock = ManualClock()
    line = Line(clock, connected_s=LINKED_S / 2)
    seen: list[Any] = []

    async def use() -> None:
        async with linked(line.connect, clock) as link:
            seen.append((link, line.is_open))

    using = asyncio.create_task(use())
    await clock.run_for(LINKED_S)
    await using

    assert seen == [(LINK, True)]
    assert not line.is_open


async def test_a_node_that_is_never_connected_is_waited_for_no_longer_than_said() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(linked(Line(clock, connected_s=1000.0).connect, clock).__aenter__())

    await clock.run_for(LINKED_S - 0.5)
    assert not waiting.done()
    await clock.run_for(1.0)

    with pytest.raises(ConnectionError, match="not connected"):
        await waiting
