"""Nodes over real connections on loopback: meeting, agreeing, losing each other, and refusing strangers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import JobDigest
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.membership import PeerJoined, PeerLost, PeerReturned, PeerSuspected
from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.subscription import LeaderChanged, Subscription
from realign_daemon.cluster.view import ClusterView
from realign_daemon.testing.loopback_node import QUICK, LoopbackNode, loopback_node
from realign_proto.v1 import cluster_pb2, status_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub
from realign_proto.v1.status_pb2_grpc import StatusStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.deadline(60)

TAG = "test"


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a condition of a running cluster, not of one object
        await asyncio.sleep(0.02)


async def event(events: Subscription, kind: type) -> object:
    """The next event of this kind."""
    return await anext(one async for one in events if isinstance(one, kind))


def state_of(view: ClusterView, node: LoopbackNode) -> str:
    return next((member.state for member in view.members() if member.node == node.view.identity.node), "unknown")


def agree(*nodes: LoopbackNode) -> bool:
    leaders = {node.view.leader for node in nodes}
    met = all(sum(member.state == "alive" for member in node.view.members()) == len(nodes) for node in nodes)
    return met and len(leaders) == 1 and None not in leaders


async def test_a_node_alone_leads_at_once_and_has_its_term_on_disk(tmp_path: Path) -> None:
    async with loopback_node(tmp_path / "only", tag=TAG) as only:
        await until(lambda: only.view.leads)

        kept = StateFile(only.data_dir).load()

    assert (kept.term, kept.leader) == (1, only.view.identity.node)


async def test_a_node_with_a_static_peer_meets_it_and_is_dialled_back(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag=TAG) as first,
        loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second,
    ):
        await until(lambda: agree(first, second))
        await until(lambda: first.view.channel(second.view.identity.node) is not None)

        channel = first.view.channel(second.view.identity.node)
        assert channel is not None
        status = await StatusStub(channel).GetStatus(status_pb2.StatusRequest(), timeout=5)

        assert status.node.id == second.view.identity.node
        assert status.leader.id == first.view.leader
        assert {(member.name, member.state) for member in status.members} == {("first", "alive"), ("second", "alive")}


async def test_a_third_node_that_knows_one_of_two_agrees_with_both_it_and_the_leader(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag=TAG) as first,
        loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second,
        loopback_node(tmp_path / "third", tag=TAG, peers=(second.address, first.address)) as third,
    ):
        await until(lambda: agree(first, second, third))


async def test_a_stopped_node_is_suspected_then_lost_and_another_leads_in_a_later_term(tmp_path: Path) -> None:
    async with loopback_node(
        tmp_path / "first", tag=TAG, facts=NodeFacts(node_id=NodeId(""), name="laptop", portable=True)
    ) as first:
        events = first.view.subscribe()
        async with loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second:
            await until(lambda: agree(first, second))
            await event(events, PeerJoined)
        term = first.view.term
        began_s = asyncio.get_running_loop().time()

        suspected = await event(events, PeerSuspected)
        lost = await event(events, PeerLost)
        took_s = asyncio.get_running_loop().time() - began_s
        await until(lambda: first.view.leads)

    assert (type(suspected), type(lost)) == (PeerSuspected, PeerLost)
    assert took_s < QUICK.dead_s * 8 / 6 + QUICK.lag_s
    assert first.view.term == term + 1


async def test_a_node_that_comes_back_is_met_again_at_its_new_address(tmp_path: Path) -> None:
    async with loopback_node(tmp_path / "first", tag=TAG) as first:
        async with loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second:
            await until(lambda: agree(first, second))
        events = first.view.subscribe()
        async with loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as back:
            returned = await event(events, PeerReturned)
            await until(lambda: agree(first, back))

    assert returned == PeerReturned(node=second.view.identity.node, restarted=True)


async def test_a_node_that_is_back_is_dialled_when_it_calls_however_long_the_next_dial_was_to_wait(
    tmp_path: Path,
) -> None:
    patient = replace(QUICK, redial_s=1.5, redial_max_s=1000.0, dead_s=1.6)  # dials after 1.5 and 4.5 s
    async with loopback_node(tmp_path / "first", tag=TAG, timing=patient) as first:
        async with loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second:
            node = second.view.identity.node
            await until(lambda: agree(first, second) and first.view.channel(node) is not None)
        events = first.view.subscribe()
        await event(events, PeerLost)
        async with loopback_node(
            tmp_path / "second", tag=TAG, peers=(first.address,), port=second.address.port
        ) as back:
            began_s = asyncio.get_running_loop().time()
            await until(lambda: first.view.channel(node) is not None)
            took_s = asyncio.get_running_loop().time() - began_s

    assert back.address == second.address
    assert took_s < 2.0


async def test_a_remembered_node_is_dialled_without_being_named_again(tmp_path: Path) -> None:
    async with loopback_node(tmp_path / "first", tag=TAG) as first:
        async with loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second:
            await until(lambda: agree(first, second))
            await until(lambda: bool(StateFile(second.data_dir).load().addresses))
        async with loopback_node(tmp_path / "second", tag=TAG) as again:
            await until(lambda: agree(first, again))


async def test_a_restarted_node_does_not_depose_the_leader_that_others_follow(tmp_path: Path) -> None:
    async with loopback_node(tmp_path / "first", tag=TAG) as first:
        async with loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second:
            await until(lambda: agree(first, second))
            await until(lambda: bool(StateFile(second.data_dir).load().addresses))
        await until(lambda: state_of(first.view, second) == "dead" and first.view.leads)
        term = first.view.term
        async with loopback_node(tmp_path / "second", tag=TAG) as again:
            await until(lambda: agree(first, again))

            assert (again.view.leader, again.view.term) == (first.view.identity.node, term)


async def test_facts_and_the_homes_of_jobs_travel_with_the_beats(tmp_path: Path) -> None:
    facts = NodeFacts(node_id=NodeId(""), name="studio", chip="M3 Ultra", memory_bytes=512 * 10**9)
    job = JobDigest(job_id="j1", state="running", home=NodeId("somebody"))
    async with (
        loopback_node(tmp_path / "first", tag=TAG, facts=facts, jobs=(job,)) as first,
        loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second,
    ):
        await until(lambda: agree(first, second))

        assert second.view.facts(first.view.identity.node) == first.view.facts(first.view.identity.node)
        assert second.view.home_of("j1") == "somebody"
        assert second.view.home_of("j2") is None


async def test_a_node_of_another_tag_is_refused_with_a_sentence_and_never_joins(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag="ours") as first,
        loopback_node(tmp_path / "second", tag="theirs", peers=(first.address,)) as second,
    ):
        await until(lambda: bool(second.view.refusals))

        assert second.view.refusals == {
            first.address: "first belongs to the cluster 'ours' and second to 'theirs'; "
            "give both the same [cluster] tag"
        }
        assert len(first.view.members()) == 1


async def test_a_newer_protocol_is_refused_with_both_versions_named(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag=TAG) as first,
        grpc.aio.insecure_channel(str(first.address)) as channel,
    ):
        hello = cluster_pb2.HelloRequest(
            min_protocol=8, max_protocol=9, cluster_tag=TAG, node_id="x", name="new", version="3.0.0"
        )

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ClusterStub(channel).Hello(hello, timeout=5)

    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "(protocol 1)" in (refused.value.details() or "")
    assert "realign 3.0.0 (protocol 8 to 9)" in (refused.value.details() or "")
    assert dict(refused.value.trailing_metadata() or ())["realign-exit"] == "4"


async def test_beats_before_a_hello_are_refused(tmp_path: Path) -> None:
    async def beats() -> AsyncIterator[cluster_pb2.Beat]:
        yield cluster_pb2.Beat(node_id="stranger", boot_id="b", sequence=1, term=99, leader="stranger")

    async with (
        loopback_node(tmp_path / "first", tag=TAG) as first,
        grpc.aio.insecure_channel(str(first.address)) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in ClusterStub(channel).Heartbeat(beats(), timeout=5):
                pass

        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert len(first.view.members()) == 1
        assert first.view.term < 99


async def test_a_node_that_finds_only_itself_stops_dialling_and_stays_alone(tmp_path: Path) -> None:
    async with loopback_node(tmp_path / "first", tag=TAG) as first:
        first.view.met(NodeId("a-ghost"), (Address(host="localhost", port=first.address.port),))
        await until(lambda: first.view.leads)

        assert first.view.channel(first.view.identity.node) is not None
        assert [member.is_self for member in first.view.members()] == [True]


async def test_a_subscriber_hears_of_a_new_leader(tmp_path: Path) -> None:
    async with loopback_node(tmp_path / "first", tag=TAG) as first:
        events = first.view.subscribe()

        assert await event(events, LeaderChanged) == LeaderChanged(leader=first.view.identity.node, term=1)
