"""Replicator: takes in what the other nodes hold, for as long as `run` runs, until all hold the same."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress

import structlog

from realign_daemon.clock import Clock
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.files import Files
from realign_daemon.journal.following import Following
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.source import Source
from realign_daemon.shortage import shortage

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

        `has_room` says whether the disk may take results and files of other nodes.
        """
        self._journal = journal
        self._files = files
        self._peers = peers
        self._keepers = keepers or peers
        self._connect = connect
        self._has_room = has_room
        self._clock = clock
        self._following: set[Following] = set()  # the connections that there are
        self._known: set[str] = set()  # nodes that had nothing left to tell at a moment since the start
        self._compare_at_s: dict[str, float] = {}
        self._patience_s: dict[str, float] = {}
        self.under_replicated = 0  # results that no other living node has, as of the last look; 0 on a node alone

    @property
    def lacks_room(self) -> bool:
        """Whether results or files of other nodes wait for room on this disk."""
        return any(one.lacks_room for one in self._following)

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
        """Returns when all that the nodes hold that can be reached, one at least, is here, or after that time.

        For what there is no room for nobody waits.
        """
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
        self._compare_at_s.setdefault(node, self._clock.continuous() + COMPARE_EVERY_S)
        try:
            source = self._connect(node)
            with self._followed(node, source) as following:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(following.run(tasks), name=f"journal.follow {node[:8]}")
                    tasks.create_task(self._compare(node, source, following), name=f"journal.compare {node[:8]}")
        except* ConnectionError as errors:
            log.debug("journal.unreachable", node=node, reason=str(errors.exceptions[0]))
        except* (OSError, sqlite3.OperationalError) as errors:
            if not all(map(_passes, errors.exceptions)):
                raise
            log.warning("journal.not_written", node=node, reason=str(errors.exceptions[0]))
        await self._clock.sleep(RETRY_S)

    @contextmanager
    def _followed(self, node: str, source: Source) -> Generator[Following]:
        following = Following(
            node,
            source,
            journal=self._journal,
            files=self._files,
            has_room=self._has_room,
            met=lambda: self._known.add(node),
            left_out=lambda: self._compare_sooner(node),
            clock=self._clock,
        )
        self._following.add(following)
        try:
            yield following
        finally:
            self._following.discard(following)

    def _compare_sooner(self, node: str) -> None:
        patience_s = self._patience_s.get(node, LEFT_OUT_S)
        self._patience_s[node] = min(2 * patience_s, COMPARE_EVERY_S)
        self._compare_at_s[node] = min(self._compare_at_s[node], self._clock.continuous() + patience_s)

    async def _compare(self, node: str, source: Source, following: Following) -> None:
        """Looks every hour whether both hold the same; raises ConnectionError to have all taken in from the start."""
        while True:
            while self._clock.continuous() < self._compare_at_s[node] or not following.is_complete:
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
    """Whether there is only too little of something. The database itself tells a disk that fails from a full one."""
    return isinstance(error, sqlite3.OperationalError) or shortage(error) is not None
