"""Whole nodes of a cluster in virtual time: the real view, peers, servicer and stubs, over the simulated network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import BootId, NodeFacts, NodeId
from realign_daemon.cluster.identity import Identity
from realign_daemon.cluster.state import ClusterState
from realign_daemon.cluster.view import ClusterView
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Host, Network
from realign_daemon.testing.memory_server import MemoryServer
from realign_daemon.testing.memory_socket import Conditions
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_loop import VirtualLoop, run

if TYPE_CHECKING:
    import grpc.aio

PORT = 7411
CALM_S = 30.0  # dead_s, the silence of a restarted node, the redials, and room


class Disk:
    """A Store that outlives its node."""

    def __init__(self) -> None:
        self._state = ClusterState()

    def load(self) -> ClusterState:
        return self._state

    def save(self, state: ClusterState) -> None:
        self._state = state


@dataclass(eq=False)
class Node:
    host: Host
    disk: Disk
    peers: tuple[Address, ...]
    clock: VirtualClock
    boots: int = 0
    view: ClusterView | None = None

    def boot(self) -> None:
        self.boots += 1
        self.host.boot().start(self._run(), name=self.host.name)

    async def _run(self) -> None:
        own = Address(host=self.host.ip, port=PORT)
        facts = NodeFacts(node_id=NodeId(self.host.name), name=self.host.name)
        self.view = view = ClusterView(
            identity=Identity(node=facts.node_id, boot=BootId(str(self.boots))),
            tag="simulated",
            store=self.disk,
            clock=self.clock,
            own_addresses=lambda: (own,),
            self_facts=lambda: facts,
            static_peers=self.peers,
            open_channel=partial(open_channel, self.host),
            insecure_lan=True,
        )

        async def measure(_model: str, _force: bool) -> NodeFacts:
            return facts

        server = MemoryServer(self.host, interceptors=[FaultInterceptor()])
        ClusterServicer(view, measure).add_to(cast("grpc.aio.Server", server))
        server.add_insecure_port(str(own))
        await server.start()
        await view.run()

    @property
    def belief(self) -> tuple[int, str | None, int]:
        """Its term, its leader, and how many nodes it believes to be alive."""
        assert self.view is not None
        return self.view.term, self.view.leader, sum(member.state == "alive" for member in self.view.members())


class Cluster:
    """Nodes that know each other's addresses."""

    def __init__(self, loop: VirtualLoop, size: int = 3) -> None:
        self.chance = loop.chance
        self.network = Network(loop)
        hosts = [self.network.host(f"n{number}") for number in range(size)]
        peers = tuple(Address(host=host.ip, port=PORT) for host in hosts)
        skews_s = [self.chance.uniform(0, 1e6) for _ in hosts]
        clocks = [VirtualClock(loop, continuous_skew_s=skew_s) for skew_s in skews_s]
        self.nodes = [Node(host, Disk(), peers, clock) for host, clock in zip(hosts, clocks, strict=True)]
        for node in self.nodes:
            node.boot()

    @property
    def beliefs(self) -> set[tuple[int, str | None, int]]:
        return {node.belief for node in self.nodes}

    def leader(self) -> Node:
        return next(node for node in self.nodes if node.view and node.view.leads)

    async def trouble(self) -> None:
        """Something happens to somebody, and passes again or not."""
        node = self.chance.choice(self.nodes)
        lasts_s = self.chance.uniform(0.1, 20)
        match self.chance.choice(["cut", "isolate", "heal", "loss", "freeze", "sleep", "crash", "power"]):
            case "cut":
                self.network.cut(node.host, self.chance.choice(self.nodes).host)
            case "isolate":
                self.network.isolate(node.host)
            case "loss":
                other = self.chance.choice(self.nodes)
                self.network.change(node.host, other.host, Conditions(loss_fraction=0.1, latency_s=0.02))
            case "freeze":
                node.host.freeze()
                await asyncio.sleep(lasts_s)
                node.host.resume()
            case "sleep":
                node.host.sleep()
                await asyncio.sleep(lasts_s)
                node.host.resume()
            case "crash" | "power" as way:
                (node.host.crash if way == "crash" else node.host.lose_power)()
                await asyncio.sleep(lasts_s)
                node.boot()
            case _:
                self.network.heal()


async def cut_and_heal(loop: VirtualLoop) -> list[set[tuple[int, str | None, int]]]:
    cluster = Cluster(loop)
    await asyncio.sleep(10)
    before = cluster.beliefs
    cut_off = cluster.leader()
    cluster.network.isolate(cut_off.host)
    await asyncio.sleep(10)
    apart = {node.belief for node in cluster.nodes if node is not cut_off}
    cluster.network.heal()
    await asyncio.sleep(10)
    return [before, apart, cluster.beliefs]


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_off_leader_is_replaced_and_after_the_cut_all_follow_the_new_one(seed: int) -> None:
    (before, apart, after), _ = run(cut_and_heal, seed)

    ((term, first, alive),) = before
    assert (term, alive) == (1, 3)
    ((term, second, alive),) = apart
    assert (term, alive) == (2, 2)
    assert second not in (first, None)
    assert after == {(2, second, 3)}


@pytest.mark.parametrize("seed", range(20))
def test_after_cuts_losses_freezes_sleeps_and_crashes_all_nodes_agree(seed: int) -> None:
    async def main(loop: VirtualLoop) -> set[tuple[int, str | None, int]]:
        cluster = Cluster(loop)
        for _ in range(12):
            await asyncio.sleep(loop.chance.uniform(0, 6))
            await cluster.trouble()
        cluster.network.heal()
        await asyncio.sleep(CALM_S)
        return cluster.beliefs

    beliefs, _ = run(main, seed)

    ((_, leader, alive),) = beliefs
    assert (leader is not None, alive) == (True, 3)


def test_the_trace_of_a_cluster_does_not_depend_on_how_python_hashes() -> None:
    program = "from tests.sim.test_cluster_in_virtual_time import *; print(run(cut_and_heal, 1)[1])"

    def trace(hash_seed: str) -> str:
        environment: dict[str, Any] = {**os.environ, "PYTHONHASHSEED": hash_seed}
        finished = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return finished.stdout.splitlines()[-1]

    assert trace("1") == trace("2") == trace("3")
