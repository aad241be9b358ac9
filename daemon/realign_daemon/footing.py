"""Footing: what every daemon stands on, be it a node that works or a witness: its ledger, its trust, its cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version

import structlog

from realign_daemon.cluster.beats import JobDigest
from realign_daemon.cluster.discovery import Discovery
from realign_daemon.cluster.facts import NodeFacts
from realign_daemon.cluster.identity import Identity, load_identity
from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import Config
from realign_daemon.decision import amnesia
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.kind import Kind
from realign_daemon.platform import Platform
from realign_daemon.rpc.server import Server
from realign_daemon.trust.journal_facts import JournalFacts, trust_kinds
from realign_daemon.trust.store import TrustStore
from realign_daemon.trust.trust import Trust
from realign_daemon.work.ballast import Ballast
from realign_daemon.work.database import Database

log = structlog.get_logger()

VERSION = version("realign-cluster")
BALLAST_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """Open for as long as the stack is that `stand` was given."""

    config: Config
    platform: Platform
    identity: Identity
    database: Database
    ballast: Ballast
    journal: Journal
    trust: Trust

    def view(
        self,
        server: Server,
        discovery: Discovery,
        *,
        facts: Callable[[], NodeFacts],
        jobs: Callable[[], Sequence[JobDigest]] = tuple,
    ) -> ClusterView:
        """The cluster, once this runs; `facts` and `jobs` are this daemon's own."""
        config, platform = self.config, self.platform
        dialler = platform.dialler(self.trust, platform.clock)
        return ClusterView(
            identity=self.identity,
            tag=config.cluster.tag,
            store=StateFile(config.node.data_dir),
            clock=platform.clock,
            own_addresses=lambda: platform.own_addresses(server.address),
            self_facts=facts,
            jobs=jobs,
            static_peers=config.network.peers,
            discovery=discovery if config.network.discovery else None,
            open_channel=dialler.open,
            refuses=dialler.refuses,
            insecure_lan=config.network.insecure_lan,
        )

    async def keep_ballast(self) -> None:
        """Makes the ballast, and puts it back once there is room for it again, until cancelled."""
        while True:
            await asyncio.to_thread(self.ballast.keep)
            await self.platform.clock.sleep(BALLAST_EVERY_S)


async def stand(config: Config, platform: Platform, stack: AsyncExitStack, *, kinds: Iterable[Kind]) -> Footing:
    """Opens what is in the data directory, which this process must have claimed. `kinds` are shared beside members.

    Raises:
        RealignError: it cannot be opened; the text says why.
    """
    data_dir, clock = config.node.data_dir, platform.clock
    identity = load_identity(data_dir, platform.random_bytes)
    ballast = platform.ballast(data_dir)
    database = platform.database(data_dir, ballast)
    stack.push_async_callback(database.close)
    await database.open(voted_before=not identity.is_new)
    if await database.run(amnesia.is_amnesiac):
        log.warning("ledger.was_lost", reason="this node does not vote on jobs that may be older than its ledger")
    shared = trust_kinds(lambda pem: trust.issued(pem))  # noqa: PLW0108 - there is no trust yet
    journal = Journal(database, (*kinds, *shared), clock=clock, boot=identity.boot, random_bytes=platform.random_bytes)
    await journal.open()
    facts = JournalFacts(journal, database, clock)
    trust: Trust = Trust(
        store=TrustStore(data_dir),
        facts=facts,
        clock=clock,
        node_name=config.node.name,
        is_witness=config.node.witness,
    )
    await trust.load()
    return Footing(
        config=config,
        platform=platform,
        identity=identity,
        database=database,
        ballast=ballast,
        journal=journal,
        trust=trust,
    )
