"""Keeping: the parts of a node that bring its files and its journal in and out, put together for the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from realign_daemon.clock import Clock
from realign_daemon.cluster.facts import NodeId
from realign_daemon.config import Config
from realign_daemon.files.share import Shares
from realign_daemon.files.staging import Staging
from realign_daemon.host.machine import Machine
from realign_daemon.housekeeping.sweep import Sweep
from realign_daemon.journal.files import Files
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.replicator import Replicator
from realign_daemon.models.hub import Child, Hub
from realign_daemon.models.offers import Offers
from realign_daemon.models.pulls import Pulls
from realign_daemon.models.store import ModelStore
from realign_daemon.models.users import Users
from realign_daemon.rpc.files_servicer import FilesServicer
from realign_daemon.rpc.housekeeping_servicer import Homes, HousekeepingServicer
from realign_daemon.rpc.journal_link import JournalLinks
from realign_daemon.rpc.models_servicer import ModelsServicer
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.sources import Holders, Sources
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.trust.trust import Trust
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What all of these parts need."""

    node: NodeId
    config: Config
    blobs: BlobStore
    neighbours: Neighbours
    clock: Clock

    def files(self, links: WorkLinks) -> tuple[Staging, FilesServicer, Sources]:
        """Uploads under way, their service, and where the files of a request are found."""
        limits = self.config.limits
        staging = Staging(
            self.blobs, clock=self.clock, client_bytes=limits.client_upload_bytes, source_bytes=limits.source_bytes
        )
        shares = Shares(self.config.shares, self.blobs, source_bytes=limits.source_bytes)
        holders = Holders(
            own=frozenset({self.node, self.config.node.name}),
            named=self.neighbours.named_channel,
            others=self.neighbours.other_channels,
            fetch=links.fetch_blob,
        )
        sources = Sources(
            node_id=self.node,
            blobs=self.blobs,
            staging=staging,
            shares=shares,
            holders=holders,
            source_bytes=limits.source_bytes,
        )
        return staging, FilesServicer(staging=staging, shares=shares, node_id=self.node), sources

    def housekeeping(
        self, database: Database, staging: Staging, store: ModelStore, trust: Trust
    ) -> HousekeepingServicer:
        """What nobody needs any more, and how it goes."""
        sweep = Sweep(
            node_id=trust.node_id,
            database=database,
            blobs=self.blobs,
            checkpoints=self.config.node.data_dir / "cache" / "checkpoints",
            uploads=staging,
            arriving=store,
            ask_homes=Homes(nodes=self.neighbours.other_nodes, channel=self.neighbours.node_channel).ask,
            clock=self.clock,
        )
        return HousekeepingServicer(
            sweep=sweep,
            database=database,
            config=self.config,
            nodes=self.neighbours.other_nodes,
            channel=self.neighbours.node_channel,
            own=trust.spki,
        )

    def models(
        self, store: ModelStore, machine: Machine, users: Users, child: Callable[[], Child], trust: Trust
    ) -> tuple[ModelsServicer, Offers]:
        """What models lie where and how they come and go, and what the hub has of those that a request needs.

        `child` gives a worker that asks the hub.
        """
        hub = Hub(child)
        pulls = Pulls(
            store=store, hub=hub, copies=self.neighbours.copies, shelf=machine, users=users.of, clock=self.clock
        )
        servicer = ModelsServicer(
            shelf=machine,
            pulls=pulls,
            is_own=store.has,
            users=users.all,
            others=self.neighbours,
            name=self.config.node.name,
            node_id=self.node,
            own=trust.spki,
        )
        return servicer, Offers(hub, self.neighbours.alive)

    def weights(self) -> ModelStore:
        """Where models are that realign brings."""
        return ModelStore(self.config.node.data_dir, now_unix_s=self.clock.unix())

    def replicator(self, journal: Journal, links: WorkLinks, machine: Machine) -> Replicator:
        """What takes in the things of the other nodes."""

        def room_bytes() -> int:
            return machine.replicas_room_bytes

        return Replicator(
            journal,
            files=Files(hold_blob=self.blobs.hold, room_bytes=room_bytes, clock=self.clock),
            peers=self.neighbours.other_members,
            keepers=self.neighbours.other_nodes,
            connect=JournalLinks(channel=self.neighbours.node_channel, links=links).connect,
            has_room=lambda: room_bytes() > 0,
            clock=self.clock,
        )
