"""Virtual cluster: nodes that know each other's addresses, in virtual time: real views, peers, servicers and stubs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import BootId, NodeFacts, NodeId
from realign_daemon.cluster.identity import Identity
from realign_daemon.cluster.state import ClusterState
from realign_daemon.cluster.timing import DEFAULT, Timing
from realign_daemon.cluster.view import ClusterView
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Host, Network
from realign_daemon.testing.memory_server import MemoryServer
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_loop import VirtualLoop

if TYPE_CHECKING:
    import grpc.aio

PORT = 7411

AddToServer = Callable[["grpc.aio.Server"], None]
Belief = tuple[int, str | None, int]  # term, leader, and how many nodes are believed alive


class VirtualDisk:
    """A Store that outlives its node."""

    def __init__(self) -> None:
        self._state = ClusterState()

    def load(self) -> ClusterState:
        """See Store."""
        return self._state

    def save(self, state: ClusterState) -> None:
        """See Store."""
        self._state = state


@dataclass(eq=False, kw_only=True)
class VirtualNode:
    """The cluster part of a daemon on one host; `boot` starts it, what the host suffers it suffers."""

    host: Host
    peers: tuple[Address, ...]
    clock: VirtualClock
    timing: Timing = DEFAULT
    disk: VirtualDisk = field(default_factory=VirtualDisk)
    boots: int = 0
    view: ClusterView | None = None  # of the last boot

    @property
    def facts(self) -> NodeFacts:
        """What it says of itself."""
        return NodeFacts(node_id=NodeId(self.host.name), name=self.host.name)

    @property
    def believes(self) -> Belief:
        """How the cluster looks from here. Only after it booted."""
        assert self.view is not None, f"{self.host.name} never ran"
        return self.view.term, self.view.leader, sum(member.state == "alive" for member in self.view.members())

    @property
    def leads(self) -> bool:
        """Whether it believes so."""
        return self.view is not None and self.view.leads

    def boot(self) -> None:
        """Starts a process in place of one that died."""
        self.boots += 1
        self.host.boot().start(self.run(), name=self.host.name)

    async def run(self) -> None:
        """The process."""
        async with self.serving() as view:
            await view.run()

    @asynccontextmanager
    async def serving(self, *services: AddToServer) -> AsyncGenerator[ClusterView]:
        """A view that is reachable, these services beside it, and still to be run."""
        own = Address(host=self.host.ip, port=PORT)
        self.view = ClusterView(
            identity=Identity(node=NodeId(self.host.name), boot=BootId(str(self.boots))),
            tag="simulated",
            store=self.disk,
            clock=self.clock,
            own_addresses=lambda: (own,),
            self_facts=lambda: self.facts,
            static_peers=self.peers,
            open_channel=partial(open_channel, self.host),
            insecure_lan=True,
            timing=self.timing,
        )

        async def measure(_model: str, _force: bool) -> NodeFacts:  # noqa: FBT001 - the servicer's own
            return self.facts

        memory_server = MemoryServer(self.host, interceptors=[FaultInterceptor()])
        server = cast("grpc.aio.Server", memory_server)
        for add_to in (ClusterServicer(self.view, measure, timing=self.timing).add_to, *services):
            add_to(server)
        memory_server.add_insecure_port(str(own))
        await memory_server.start()
        yield self.view


class VirtualCluster:
    """Nodes of one kind that all know each other's addresses, each with a clock of its own, booted."""

    def __init__(self, loop: VirtualLoop, size: int = 3, *, within_s: float = 0.0) -> None:
        """All boot within this time, each at a moment of its own, so that their beats do not fall together."""
        self.chance = loop.chance
        self.network = Network(loop)
        hosts = [self.network.host(f"n{number}") for number in range(size)]
        peers = tuple(Address(host=host.ip, port=PORT) for host in hosts)
        skews_s = [self.chance.uniform(0, 1e6) for _ in hosts]
        self.nodes = [
            VirtualNode(host=host, peers=peers, clock=VirtualClock(loop, continuous_skew_s=skew_s))
            for host, skew_s in zip(hosts, skews_s, strict=True)
        ]
        for node in self.nodes:
            loop.call_later(self.chance.uniform(0, within_s), node.boot)

    @property
    def beliefs(self) -> set[Belief]:
        """One only where all agree."""
        return {node.believes for node in self.nodes}

    def leader(self) -> VirtualNode:
        """The first that believes that it leads."""
        return next(node for node in self.nodes if node.leads)
