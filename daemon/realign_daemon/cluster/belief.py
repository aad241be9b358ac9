"""Belief: who leads, as this node believes; on its disk before anybody hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster import election
from realign_daemon.cluster.address_book import AddressBook
from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.election import Leadership
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.state import ClusterState, Store
from realign_daemon.cluster.timing import Timing
from realign_daemon.shortage import shortage

log = structlog.get_logger()


class Belief:
    """The last one, kept over restarts together with where the other nodes answered."""

    def __init__(
        self, kept: ClusterState, *, store: Store, book: AddressBook, node: NodeId, clock: Clock, timing: Timing
    ) -> None:
        """`kept` is what the store has; `node` is this one."""
        self._kept = kept
        self._store = store
        self._book = book
        self._node = node
        self._clock = clock
        self.leadership = election.restarted(
            term=kept.term, knows_peers=bool(book.met), now_s=clock.continuous(), timing=timing
        )
        self.since_unix_s = 0.0  # when the leader began to lead

    async def hold(self, believed: Leadership, heard: Iterable[Beat]) -> bool:
        """Believes this from now on, by what others said in their beats; whether it is news.

        What cannot be written is not believed: the disk is full, or too many files are open.
        """
        before = self.leadership
        if not await self._keep(believed):
            return False
        self.leadership = believed
        if before.leader != believed.leader:
            self.since_unix_s = self._leader_since(heard)
        return (before.leader, before.term) != (believed.leader, believed.term)

    async def _keep(self, believed: Leadership) -> bool:
        kept = ClusterState(term=believed.term, leader=believed.leader, addresses=self._book.met)
        if kept != self._kept:
            try:
                await asyncio.to_thread(self._store.save, kept)
            except OSError as error:
                if not shortage(error):
                    raise  # a disk that fails to flush cannot be trusted with a second try
                log.warning(
                    "cluster.not_written", reason=str(error), remedy="until then this node keeps its old leader"
                )
                return False
            self._kept = kept
        return True

    def _leader_since(self, heard: Iterable[Beat]) -> float:
        leader, ours = self.leadership.leader, self._clock.unix()
        said = (beat.leader_since_unix_s for beat in heard if beat.leader == leader)
        return ours if leader == self._node else next(said, ours)
