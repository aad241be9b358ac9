"""Loopback node: the cluster part of a daemon, real server and real connections, without engine or jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from realign_daemon.clock import SystemClock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.announcement import Announcement, tag_mark
from realign_daemon.cluster.beats import JobDigest
from realign_daemon.cluster.discovery import Discovery, own_addresses
from realign_daemon.cluster.facts import NodeFacts
from realign_daemon.cluster.identity import load_identity
from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.timing import Timing
from realign_daemon.cluster.view import ClusterView
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.server import Server
from realign_daemon.rpc.status_servicer import BenchProgress, LocalStatus, StatusServicer

# A quarter of the real waits or less; the lag is kept long, as a busy test machine stands still that long for nothing.
QUICK = Timing(
    beat_s=0.1,
    tick_s=0.05,
    suspect_s=0.5,
    dead_s=1.0,
    lag_s=0.5,
    outrank_s=5.0,
    call_s=2.0,
    redial_s=0.05,
    redial_max_s=0.3,
    interfaces_s=1.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackNode:
    """A node that runs."""

    view: ClusterView
    address: Address
    data_dir: Path


@asynccontextmanager
async def loopback_node(
    data_dir: Path,
    *,
    tag: str,
    peers: tuple[Address, ...] = (),
    discovery: bool = False,
    facts: NodeFacts | None = None,
    jobs: tuple[JobDigest, ...] = (),
    timing: Timing = QUICK,
    port: int = 0,
) -> AsyncGenerator[LoopbackNode]:
    """A node with its own identity in this folder, on a port of 127.0.0.1, 0 for a free one, until the block ends.

    `facts` is what it says of itself, its node id put in; by default a named machine that was not measured.
    """
    identity = load_identity(data_dir)
    server = Server(data_dir=data_dir, listen=Address(host="127.0.0.1", port=port))
    own_facts = replace(facts, node_id=identity.node) if facts else NodeFacts(node_id=identity.node, name=data_dir.name)

    def addresses() -> tuple[Address, ...]:
        return own_addresses(server.address)

    announcement = Announcement(node=identity.node, name=own_facts.name, marks=(tag_mark(tag),))
    view = ClusterView(
        identity=identity,
        tag=tag,
        store=StateFile(data_dir),
        clock=SystemClock(),
        own_addresses=addresses,
        self_facts=lambda: own_facts,
        jobs=lambda: jobs,
        static_peers=peers,
        discovery=Discovery(lambda: announcement, addresses=addresses, timing=timing) if discovery else None,
        timing=timing,
    )

    async def measure(_model: str, _force: bool) -> NodeFacts:  # noqa: FBT001 - the servicer's own
        return own_facts

    async def bench(_model: str, _force: bool) -> AsyncGenerator[BenchProgress]:  # noqa: FBT001 - the servicer's own
        yield BenchProgress(text="nothing to measure", facts=own_facts)

    cluster = ClusterServicer(view, measure, timing=timing)
    status = StatusServicer(view, lambda: LocalStatus(data_dir=data_dir, uptime_s=0.0), bench)
    async with server.serve(cluster.add_to, status.add_to):
        running = asyncio.create_task(view.run(), name=f"cluster {data_dir.name}")
        try:
            yield LoopbackNode(view=view, address=server.address, data_dir=data_dir)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
