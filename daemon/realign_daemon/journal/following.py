"""Following: one connection to another node's journal, and what of it is taken in at once and what has to wait.

Small things are taken in as they are announced: who is a member and who no more, where jobs are homed, how they ended,
which were cancelled or removed. Results, failures and things whose files are not here wait for room on the disk, and no
file on its way holds up what comes after it. The position stays before the first thing that waits. Once the wait is
over the journal is followed anew from there: what was taken in already is here and is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import NoReturn

import structlog

from realign_daemon.clock import Clock
from realign_daemon.journal.entries import Position, Ref
from realign_daemon.journal.files import Files
from realign_daemon.journal.journal import Batch, Item, Journal
from realign_daemon.journal.results import FAILURES, RESULTS
from realign_daemon.journal.source import Source

log = structlog.get_logger()

LARGE = frozenset({RESULTS.name, FAILURES.name})  # kinds of which there is as much as there is work
ROOM_EVERY_S = 1.0  # how soon it is noticed that there is room again
BYTES_A_COMMIT = 4 * 1024 * 1024
ITEMS_A_COMMIT = 256


class Following:
    """What `run` has taken in so far, and whether it waits for room."""

    def __init__(
        self,
        node: str,
        source: Source,
        *,
        journal: Journal,
        files: Files,
        has_room: Callable[[], bool],
        met: Callable[[], object],
        left_out: Callable[[], object],
        clock: Clock,
    ) -> None:
        """`met` is told when all is here that there is and that the disk has room for, `left_out` of what never is."""
        self._node = node
        self._source = source
        self._journal = journal
        self._files = files
        self._has_room = has_room
        self._met = met
        self._left_out = left_out
        self._clock = clock
        self._position = Position(index_id="")
        self._is_at_end = False
        self._waiting: asyncio.Task[None] | None = None  # for files, or for room
        self._is_ahead = False  # of the position: something was announced since the wait began
        self.lacks_room = False

    @property
    def is_complete(self) -> bool:
        """Whether all that the node has announced is here."""
        return self._is_at_end and self._waiting is None

    async def run(self, tasks: asyncio.TaskGroup) -> NoReturn:
        """Takes in what is there and what comes. What has to wait does so in one of these tasks.

        Raises:
            ConnectionError: the connection has ended, or is to be made anew as the wait, in that task, is over.
        """
        self._position = await self._journal.position(self._node)
        async with aclosing(self._source.follow(self._position)) as batches:
            async for batch in batches:
                if self._position.index_id not in ("", batch.end.index_id):
                    log.warning(
                        "journal.other", node=self._node, reason="its ledger is a new one: it is taken in from 0"
                    )
                await self._take_in(batch, tasks)
        raise ConnectionError("the node ended the connection")

    async def _take_in(self, batch: Batch, tasks: asyncio.TaskGroup) -> None:
        waits, has_room, left_out = self._waiting is not None, self._has_room(), self._journal.left_out
        self._is_ahead = waits
        missing = await self._journal.missing(batch)
        small = [ref for ref in missing if ref.kind not in LARGE]
        large = [ref for ref in missing if ref.kind in LARGE]
        ready, lacking = await self._fetch([*small, *large] if has_room else small)
        left = lacking if has_room else [*lacking, *large]
        end = self._position if waits else _before(left, batch)
        self._position = await self._journal.advance(self._node, self._position, replace(batch, end=end), ready)
        if self._journal.left_out > left_out:
            self._left_out()
        if left and not waits:
            waiting = self._bring(lacking, batch) if has_room else self._wait_for_room()
            self._waiting = tasks.create_task(waiting, name=f"journal.wait {self._node[:8]}")
            self.lacks_room = not has_room
        self._is_at_end = self._is_at_end or batch.end.seq >= batch.last
        self._tell()

    async def _fetch(self, refs: Sequence[Ref]) -> tuple[list[Item], list[Ref]]:
        """What came and is not taken in yet, and what lacks files."""
        asked_for = set(refs)
        ready: list[Item] = []
        lacking: list[Ref] = []
        ready_bytes = 0
        async with aclosing(self._source.fetch(refs)) as items:
            async for item in items:
                if item.ref not in asked_for:
                    continue
                asked_for.remove(item.ref)
                if not self._files.are_here(self._node, item.ref, self._journal.blobs(item)):
                    lacking.append(item.ref)
                    continue
                ready.append(item)
                ready_bytes += len(item.payload)
                if len(ready) >= ITEMS_A_COMMIT or ready_bytes >= BYTES_A_COMMIT:
                    await self._journal.take_in(self._node, ready)
                    ready, ready_bytes = [], 0
        return ready, lacking

    async def _bring(self, refs: Sequence[Ref], batch: Batch) -> None:
        """Takes in what lacks files, of a batch that is here but for them."""
        for ref in refs:
            item = await self._one(ref)  # not all at once: a file may take longer to come than a call lasts
            if item is None:
                continue
            if await self._files.bring(self._node, self._source, item, self._journal.blobs(item)):
                await self._journal.take_in(self._node, (item,))
            else:
                self._left_out()
        self._position = await self._journal.advance(self._node, self._position, batch, ())
        self._waiting = None
        if self._is_ahead:
            raise ConnectionError("files are here now; what was announced meanwhile is looked at again")
        self._tell()

    async def _one(self, ref: Ref) -> Item | None:
        async with aclosing(self._source.fetch((ref,))) as items:
            async for item in items:
                if item.ref == ref:
                    return item
        return None

    async def _wait_for_room(self) -> NoReturn:
        remedy = "free some space; until then no results, failures or files of other nodes are taken in"
        log.warning("journal.no_room", node=self._node, remedy=remedy)
        while not self._has_room():
            await self._clock.sleep(ROOM_EVERY_S)
        raise ConnectionError("there is room again; what had to wait for it is looked at again")

    def _tell(self) -> None:
        if self._is_at_end and (self._waiting is None or self.lacks_room):
            self._met()


def _before(left: Collection[Ref], batch: Batch) -> Position:
    """Where a follower is that takes in a batch up to the first of these; at its end where there are none."""
    waiting = frozenset(left)
    first = min((header.seq for header in batch.headers if header.ref in waiting), default=None)
    return batch.end if first is None else replace(batch.end, seq=max(0, first - 1))
