"""Replicator: takes in what the other nodes hold, for as long as `run` runs, until all hold the same."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.codec import MAX_BYTES
from realign_daemon.journal.entries import Position, Ref
from realign_daemon.journal.files import Files
from realign_daemon.journal.journal import Batch, Item, Journal
from realign_daemon.journal.source import Source

log = structlog.get_logger()

RETRY_S = 1.0
LOOK_AGAIN_S = 0.1
LOOK_EVERY_S = 0.5  # how soon a node that came or went is noticed
COUNT_EVERY_S = 5.0  # results on one disk only; counting among 100,000 takes some 50 ms
COMPARE_EVERY_S = 3600.0  # all that two nodes hold, in case one has lost something without noticing
# After something had to be left out they are compared so soon, then after twice as long: by then there may be room for
# a file, or the authority known that issued a member's certificate.
LEFT_OUT_S = 60.0
LOOK_AT_CLOCK_S = 5.0
BYTES_A_COMMIT = 4 * 1024 * 1024
BYTES_IN_HAND = 2 * MAX_BYTES  # of things that wait for their files: these are kilobytes, so it is damage or an attack
ITEMS_A_COMMIT = 256


class Replicator:
    """One follower for each node that can be reached."""

    def __init__(
        self,
        journal: Journal,
        *,
        files: Files,
        peers: Callable[[], Iterable[str]],
        keepers: Callable[[], Iterable[str]] | None = None,
        connect: Callable[[str], Source],
        has_room: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`peers` are the nodes to follow now, `keepers` those of them that keep jobs and results: all, unless given.

        `has_room` says whether the disk may take more of other nodes.
        """
        self._journal = journal
        self._files = files
        self._peers = peers
        self._keepers = keepers or peers
        self._connect = connect
        self._has_room = has_room
        self._clock = clock
        self._behind: set[str] = set()  # nodes whose journal is not taken in to the end
        self._known: set[str] = set()  # nodes whose journal was, since the start
        self._compare_at_s: dict[str, float] = {}
        self._patience_s: dict[str, float] = {}
        self.under_replicated = 0  # results that no other living node has, as of the last look; 0 on a node alone

    async def run(self) -> None:
        """Follows every node that is there, until cancelled."""
        following: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._count(), name="journal.count")
            while True:
                wanted = frozenset(self._peers())
                for node in sorted(wanted):
                    if node not in following or following[node].done():
                        following[node] = tasks.create_task(self._attend(node), name=f"journal.{node[:8]}")
                for node in [node for node in following if node not in wanted]:
                    following.pop(node).cancel()
                await self._clock.sleep(LOOK_EVERY_S)

    async def catch_up(self, *, within_s: float) -> None:
        """Returns when all that the nodes hold that can be reached is here, one at least, or after that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (peers := frozenset(self._peers())) or not peers <= self._known:
                    await self._clock.sleep(LOOK_AGAIN_S)

    async def copies(self, ref: Ref, *, within_s: float) -> int:
        """On how many disks the thing is: 2 as soon as another living node has it, else 1 after that time."""
        others = frozenset(self._keepers())
        if others:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._journal.wait_for_copy(ref, others)
                    return 2
        return 1

    async def _count(self) -> None:
        while True:
            others = frozenset(self._keepers())
            self.under_replicated = await self._journal.alone(others) if others else 0
            await self._clock.sleep(COUNT_EVERY_S)

    async def _attend(self, node: str) -> None:
        """One connection to a node, for as long as it lasts."""
        self._behind.add(node)
        self._compare_at_s.setdefault(node, self._clock.continuous() + COMPARE_EVERY_S)
        try:
            source = self._connect(node)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(node, source), name=f"journal.follow {node[:8]}")
                tasks.create_task(self._compare(node, source), name=f"journal.compare {node[:8]}")
        except* ConnectionError as errors:
            log.debug("journal.unreachable", node=node, reason=str(errors.exceptions[0]))
        except* (OSError, sqlite3.OperationalError) as errors:
            if not all(map(_passes, errors.exceptions)):
                raise
            log.warning("journal.not_written", node=node, reason=str(errors.exceptions[0]), remedy="free some space")
        await self._clock.sleep(RETRY_S)

    async def _follow(self, node: str, source: Source) -> None:
        position = await self._journal.position(node)
        async with aclosing(source.follow(position)) as batches:
            async for batch in batches:
                if position.index_id not in ("", batch.end.index_id):
                    log.warning("journal.other", node=node, reason="its ledger is a new one: it is taken in from 0")
                while not self._has_room():
                    await self._clock.sleep(RETRY_S)
                position = await self._take_in(node, source, position, batch)
                if position.seq >= batch.last:
                    self._behind.discard(node)
                    self._known.add(node)
        raise ConnectionError("the node ended the connection")

    async def _take_in(self, node: str, source: Source, position: Position, batch: Batch) -> Position:
        left_out = self._journal.left_out
        refs = await self._journal.missing(batch)
        ready: list[Item] = []
        while refs:
            await self._journal.take_in(node, ready)
            ready, with_files, refs = await self._fetch(node, source, refs)
            for item in with_files:  # now: a file may take longer to come than the call that brings the items lasts
                if await self._files.bring(node, source, item, self._journal.blobs(item)):
                    ready.append(item)
                else:
                    left_out -= 1
        reached = await self._journal.advance(node, position, batch, ready)
        if self._journal.left_out > left_out:
            self._compare_sooner(node)
        return reached

    async def _fetch(
        self, node: str, source: Source, refs: Sequence[Ref]
    ) -> tuple[list[Item], list[Item], Sequence[Ref]]:
        """What came and is not taken in yet, what of it needs files, and what is still to be fetched after them."""
        asked_for = set(refs)
        pending: list[Item] = []
        with_files: list[Item] = []
        pending_bytes = waiting_bytes = 0
        async with aclosing(source.fetch(refs)) as items:
            async for item in items:
                if item.ref not in asked_for:
                    continue
                asked_for.remove(item.ref)
                if self._journal.blobs(item):
                    with_files.append(item)
                    waiting_bytes += len(item.payload)
                    if waiting_bytes > BYTES_IN_HAND:
                        return pending, with_files, refs[refs.index(item.ref) + 1 :]
                    continue
                pending.append(item)
                pending_bytes += len(item.payload)
                if len(pending) >= ITEMS_A_COMMIT or pending_bytes >= BYTES_A_COMMIT:
                    await self._journal.take_in(node, pending)
                    pending, pending_bytes = [], 0
        return pending, with_files, ()

    def _compare_sooner(self, node: str) -> None:
        patience_s = self._patience_s.get(node, LEFT_OUT_S)
        self._patience_s[node] = min(2 * patience_s, COMPARE_EVERY_S)
        self._compare_at_s[node] = min(self._compare_at_s[node], self._clock.continuous() + patience_s)

    async def _compare(self, node: str, source: Source) -> None:
        """Looks every hour whether both hold the same; raises ConnectionError to have all taken in from the start."""
        while True:
            while self._clock.continuous() < self._compare_at_s[node] or node in self._behind:
                await self._clock.sleep(LOOK_AT_CLOCK_S)
            self._compare_at_s[node] = self._clock.continuous() + COMPARE_EVERY_S
            theirs, ours = await source.digests(), await self._journal.digests()
            # A kind that an older node does not know is none that it has lost.
            differ = sorted(kind for kind in ours.keys() & theirs.keys() if theirs[kind] != ours[kind])
            if differ:
                log.info("journal.differs", node=node, kinds=differ)
                await self._journal.start_over(node)
                raise ConnectionError("the nodes hold different things; all is compared one by one")


def _passes(error: BaseException) -> bool:
    """Whether room on the disk mends it. The database itself tells a disk that fails from one that is full."""
    return isinstance(error, sqlite3.OperationalError) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    )
