"""Witness: a daemon that votes on how jobs end, and does nothing else: a third vote for two nodes that work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.config import Config
from realign_daemon.decision import amnesia
from realign_daemon.decision.store import DecisionStore
from realign_daemon.errors import BadConfig, Damaged, WrongState
from realign_daemon.footing import VERSION, Footing, stand
from realign_daemon.guard import Guard
from realign_daemon.journal.decisions import DECISIONS, noted_decision
from realign_daemon.journal.files import Files
from realign_daemon.journal.jobs import TOMBSTONES
from realign_daemon.journal.replicator import Replicator
from realign_daemon.platform import Platform
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.decision_servicer import DecisionServicer
from realign_daemon.rpc.journal_link import JournalLinks
from realign_daemon.rpc.journal_servicer import JournalServicer
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.status_servicer import BenchProgress, LocalStatus, StatusServicer
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.work.blobs import BlobStore

KINDS = (DECISIONS, TOMBSTONES)  # that it takes in, beside members
LOOK_EVERY_S = 60.0  # nobody plans with what a witness has free


class Witness:
    """A whole daemon without an engine."""

    def __init__(self, config: Config, platform: Platform | None = None) -> None:
        """Without a platform it gets a real machine's."""
        self._config = config
        self._platform = platform or Platform()
        self._clock = self._platform.clock
        self._started_at_s = self._clock.continuous()
        self._facts: NodeFacts

    async def run(self, ready: Callable[[Address], None]) -> None:
        """Serves until cancelled. `ready` is told the address once it listens.

        Raises:
            RealignError: it cannot start; the text says why.
        """
        config, platform = self._config, self._platform
        server = platform.server(config)
        async with AsyncExitStack() as stack:
            stack.enter_context(server.claim())
            footing = await stand(config, platform, stack, kinds=KINDS)
            await _must_be_fit_to_vote(footing)
            await self._look(footing.identity.node)
            discovery = platform.discovery(
                lambda: guard.announcement(),  # noqa: PLW0108 - there is no guard yet
                addresses=lambda: platform.own_addresses(server.address),
            )
            view = footing.view(server, discovery, facts=lambda: self._facts)
            neighbours = Neighbours(view)
            replicator = self._replicator(footing, neighbours)
            guard: Guard = Guard(
                config,
                server=server,
                trust=footing.trust,
                audit=AuditTable(footing.database, self._clock),
                view=view,
                neighbours=neighbours,
                owner_of=lambda _: None,
                rehome=None,
                clock=self._clock,
                is_witness=True,
            )
            services = (
                ClusterServicer(view, _refuse_to_measure).add_to,
                StatusServicer(view, self._status, _refuse_to_bench).add_to,
                DecisionServicer(DecisionStore(footing.database, noted=noted_decision)).add_to,
                JournalServicer(footing.journal).add_to,
                *guard.services,
            )
            serving = server.serve(*services, opening=guard.opening, owner=guard.owner)
            async with serving, asyncio.TaskGroup() as tasks:
                tasks.create_task(guard.run(), name="guard")
                tasks.create_task(footing.database.watch(), name="disk")
                tasks.create_task(footing.keep_ballast(), name="ballast")
                tasks.create_task(replicator.run(), name="journal")
                tasks.create_task(view.run(), name="cluster")
                tasks.create_task(self._look_around(footing.identity.node), name="machine")
                ready(server.address)

    def _replicator(self, footing: Footing, neighbours: Neighbours) -> Replicator:
        """None of its kinds names a file."""
        blobs = BlobStore(self._config.node.data_dir / "blobs")
        links = WorkLinks(node_id=footing.identity.node, channel=neighbours.node_channel, blobs=blobs)
        return Replicator(
            footing.journal,
            files=Files(hold_blob=blobs.hold, room_bytes=lambda: 0, clock=self._clock),
            peers=neighbours.other_members,
            connect=JournalLinks(channel=neighbours.node_channel, links=links).connect,
            has_room=lambda: True,
            clock=self._clock,
        )

    def _status(self) -> LocalStatus:
        uptime_s = self._clock.continuous() - self._started_at_s
        return LocalStatus(data_dir=self._config.node.data_dir, uptime_s=uptime_s, does_work=False)

    async def _look_around(self, node: NodeId) -> None:
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            await self._look(node)

    async def _look(self, node: NodeId) -> None:
        """Sees what others are told of this machine."""
        senses = self._platform.senses
        host, power, disk = await asyncio.gather(
            asyncio.to_thread(senses.facts),
            asyncio.to_thread(senses.power),
            asyncio.to_thread(senses.disk, self._config.node.data_dir),
        )
        self._facts = NodeFacts(
            node_id=node,
            name=self._config.node.name,
            version=VERSION,
            chip=host.chip,
            os=host.os,
            memory_bytes=host.memory_bytes,
            free_bytes=senses.free_bytes(),
            cpu_cores=host.cpu_cores,
            portable=host.portable,
            power=power,
            disk_free_bytes=disk.free_bytes,
            witness=True,
        )


async def _must_be_fit_to_vote(footing: Footing) -> None:
    """Raises BadConfig, Damaged."""
    ledger = footing.config.node.data_dir / "ledger.sqlite"
    rows = await footing.database.run(lambda connection: connection.execute("SELECT COUNT(*) FROM jobs").fetchone())
    if rows != (0,):
        raise BadConfig(f"{ledger} holds jobs, which a witness could do nothing about; give it another --data-dir")
    if await footing.database.run(amnesia.is_amnesiac):
        raise Damaged(
            f"{ledger} is not the ledger that this witness voted with: what it has promised is lost, and it can vote "
            "no more; delete the data directory and join the cluster with a new invitation"
        )


async def _refuse_to_measure(_model: str, _force: bool) -> NodeFacts:  # noqa: FBT001 - the servicer's own
    raise WrongState("this node is a witness, which measures nothing; ask a node that works")


async def _refuse_to_bench(model: str, force: bool) -> AsyncIterator[BenchProgress]:  # noqa: FBT001 - the servicer's own
    yield BenchProgress(text="", facts=await _refuse_to_measure(model, force))
