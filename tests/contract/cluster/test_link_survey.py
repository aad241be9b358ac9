"""Links between nodes, measured: simulated ones of known delay, and real ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from realign_daemon.clock import SystemClock
from realign_daemon.cluster.facts import NodeId
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.link_survey import EVERY_S, LOOPBACK_S, LinkSurvey
from realign_daemon.testing import memory_grpc
from realign_daemon.testing.loopback_node import loopback_node
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.memory_server import MemoryServer
from realign_daemon.testing.memory_socket import Conditions
from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_loop import VirtualLoop, run

if TYPE_CHECKING:
    from pathlib import Path

    import grpc.aio

    from realign_daemon.testing.memory_network import Host

NEAR, FAR, OLD = NodeId("near"), NodeId("far"), NodeId("old")


class Towns:
    """Hosts that all answer echoes but the old one, which knows no such method; and a survey at the near one."""

    def __init__(self, loop: VirtualLoop, one_way_s: float) -> None:
        self.network = Network(loop, Conditions(latency_s=one_way_s, jitter_s=0.0))
        self.present = [FAR]
        self._channels: dict[NodeId, grpc.aio.Channel] = {}
        self.survey = LinkSurvey(
            node=NEAR, others=lambda: self.present, channel=self._channels.get, clock=VirtualClock(loop)
        )

    async def open(self) -> None:
        hosts = {node: self.network.host(node) for node in (NEAR, FAR, OLD)}
        for node, host in hosts.items():
            port = await host.boot().start(self._serve(host, knows_echo=node != OLD))
            self._channels[node] = memory_grpc.open_channel(hosts[NEAR], f"{host.ip}:{port}")

    async def _serve(self, host: Host, *, knows_echo: bool) -> int:
        server = MemoryServer(host)
        if knows_echo:
            ClusterServicer(cast("Any", None), cast("Any", None)).add_to(cast("Any", server))
        port = server.add_insecure_port("0.0.0.0:0")
        await server.start()
        return port


def test_the_latency_is_one_way_and_without_what_the_programs_at_its_ends_need() -> None:
    async def play(loop: VirtualLoop) -> None:
        towns = Towns(loop, one_way_s=0.004)
        await towns.open()
        await towns.survey.measure()
        (link,) = towns.survey.links()
        assert link.node == FAR
        assert link.latency_s == pytest.approx(0.004, rel=0.05)
        assert link.bytes_per_s == pytest.approx(117e6, rel=0.2)

    run(play, 0)


def test_a_node_that_leaves_or_knows_no_echo_has_no_link() -> None:
    async def play(loop: VirtualLoop) -> None:
        towns = Towns(loop, one_way_s=0.001)
        await towns.open()
        towns.present = [FAR, OLD]
        await towns.survey.measure()
        assert [link.node for link in towns.survey.links()] == [FAR]
        towns.present = [OLD]
        await towns.survey.measure()
        assert towns.survey.links() == ()

    run(play, 0)


def test_one_survey_in_a_busy_moment_does_not_change_what_the_link_is_like() -> None:
    async def play(loop: VirtualLoop) -> None:
        towns = Towns(loop, one_way_s=0.001)
        await towns.open()
        near, far = (towns.network.hosts[node] for node in (NEAR, FAR))
        for one_way_s in (0.001, 0.001, 0.2):
            towns.network.change(near, far, Conditions(latency_s=one_way_s, jitter_s=0.0))
            await towns.survey.measure()
        (link,) = towns.survey.links()
        assert link.latency_s == pytest.approx(0.001, rel=0.05)

    run(play, 0)


async def test_real_nodes_on_one_machine_are_a_fraction_of_a_millisecond_apart(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag="t") as first,
        loopback_node(tmp_path / "second", tag="t", peers=(first.address,)) as second,
    ):
        other = second.view.identity.node
        while first.view.channel(other) is None:  # noqa: ASYNC110 - a condition of a running cluster
            await asyncio.sleep(0.02)
        survey = LinkSurvey(
            node=first.view.identity.node, others=lambda: [other], channel=first.view.channel, clock=SystemClock()
        )
        await survey.measure()
        (link,) = survey.links()
    assert LOOPBACK_S <= link.latency_s < 0.05
    assert link.bytes_per_s > 1e6
    assert EVERY_S >= 60  # it costs a megabyte or so each time
