"""Nodes of different releases in one cluster: they meet, lead and work in what both know, or say why they will not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs
from tests.contract.cluster.aged_peer import DEADLINE_S, NODE, UNKNOWN, AgedPeer, running, serving, until
from tests.contract.journal import peers as journal_peers
from tests.contract.journal.peers import Network, Peer, alike, job

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.decision.ballot import Ballot
from realign_daemon.decision.messages import Accept, Prepare
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import Incompatible, Unreachable
from realign_daemon.journal import replicator
from realign_daemon.journal.entries import Position, Ref
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.results import RESULTS
from realign_daemon.rpc.decision_link import DecisionLink
from realign_daemon.rpc.holder import Holder
from realign_daemon.rpc.homes import passed_on, relayed
from realign_daemon.rpc.housekeeping_servicer import Homes
from realign_daemon.rpc.journal_link import JournalLink
from realign_daemon.rpc.journal_servicer import JournalServicer
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.testing.loopback_node import QUICK, LoopbackNode, loopback_node
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.messages import Capacity
from realign_daemon.work.units import UnitKey
from realign_proto.v1 import curation_pb2, files_pb2, journal_pb2, status_pb2, work_pb2
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.files_pb2_grpc import FilesStub
from realign_proto.v1.status_pb2_grpc import StatusStub

TAG = "test"
NEXT = NodeFacts(node_id=NodeId(""), name="upgraded", protocol=2, features=frozenset({"x", "y"}))


def previous() -> AgedPeer:
    """A node one protocol before `NEXT`, which was made before nodes said what they speak."""
    return AgedPeer(tag=TAG, min_protocol=1, max_protocol=1, is_old=True)


def following() -> AgedPeer:
    """A node one protocol after this release's."""
    return AgedPeer(tag=TAG, min_protocol=1, max_protocol=2, is_new=True)


def stranger() -> AgedPeer:
    """A node that has no protocol in common with this release."""
    return AgedPeer(tag=TAG, min_protocol=8, max_protocol=9, version="3.0.0")


async def status_of(node: LoopbackNode) -> status_pb2.NodeStatus:
    async with grpc.aio.insecure_channel(str(node.address)) as channel:
        return await StatusStub(channel).GetStatus(status_pb2.StatusRequest(), timeout=5)


async def test_a_node_and_one_of_the_previous_protocol_meet_and_the_older_one_leads(tmp_path: Path) -> None:
    older = previous()
    older.leads = True
    async with (
        running(older),
        loopback_node(tmp_path / "upgraded", tag=TAG, facts=NEXT, peers=(older.address,)) as upgraded,
    ):
        await until(lambda: upgraded.view.leader == NODE)

        assert [(hello.min_protocol, hello.max_protocol) for hello in older.greeted] == [(1, 2)]
        assert (await older.hello_to(upgraded.address)).protocol == 1
        facts = upgraded.view.facts(NodeId(NODE))
        assert facts is not None
        assert (facts.protocol, facts.features) == (0, frozenset())
        assert not upgraded.view.refused()


async def test_an_older_node_takes_the_lead_from_a_steadier_newer_one(tmp_path: Path) -> None:
    older = NodeFacts(node_id=NodeId(""), name="laptop", protocol=1, portable=True)
    timing = replace(QUICK, outrank_s=0.2)
    async with loopback_node(tmp_path / "upgraded", tag=TAG, facts=NEXT, timing=timing) as upgraded:
        await until(lambda: upgraded.view.leads)
        async with loopback_node(
            tmp_path / "laptop", tag=TAG, facts=older, peers=(upgraded.address,), timing=timing
        ) as laptop:
            await until(lambda: laptop.view.leads and upgraded.view.leader == laptop.view.identity.node)


async def test_what_a_newer_node_says_beyond_this_release_is_passed_over_and_this_one_leads(tmp_path: Path) -> None:
    newer = following()
    async with running(newer), loopback_node(tmp_path / "ours", tag=TAG, peers=(newer.address,)) as ours:
        await until(lambda: ours.view.facts(NodeId(NODE)) and ours.view.leads)

        facts = ours.view.facts(NodeId(NODE))
        assert facts is not None
        assert (facts.protocol, facts.power.source, facts.engine.state) == (2, "unknown", "absent")
        assert (await newer.hello_to(ours.address)).protocol == 1
        assert len((await status_of(ours)).members) == 2


async def test_a_feature_is_on_when_all_living_nodes_have_it(tmp_path: Path) -> None:
    other = NodeFacts(node_id=NodeId(""), name="other", features=frozenset({"y", "z"}))
    async with loopback_node(tmp_path / "first", tag=TAG, facts=NEXT) as first:
        assert first.view.has_feature("x")
        async with loopback_node(tmp_path / "second", tag=TAG, facts=other, peers=(first.address,)) as second:
            await until(lambda: len(first.view.members()) == len(second.view.members()) == 2)

            assert first.view.features == second.view.features == {"y"}
            assert (await status_of(first)).node.features == ["y"]
            assert not first.view.has_feature("x")
        await until(lambda: first.view.has_feature("x"))  # the other one has gone


async def test_without_a_protocol_in_common_who_dials_refuses_and_says_so_in_its_status(tmp_path: Path) -> None:
    newer = stranger()
    newer.chooses = 9
    async with running(newer), loopback_node(tmp_path / "ours", tag=TAG, peers=(newer.address,)) as ours:
        await until(ours.view.refused)

        assert (await status_of(ours)).refused == [
            status_pb2.Refused(
                address=str(newer.address),
                reason="ours runs realign  (protocol 1) and aged runs realign 3.0.0 (protocol 8 to 9), "
                "which have none in common; upgrade ours",
            )
        ]
        assert len(ours.view.members()) == 1


async def test_without_a_protocol_in_common_who_is_dialled_refuses_and_says_so_in_its_status(tmp_path: Path) -> None:
    newer = stranger()
    async with running(newer), loopback_node(tmp_path / "ours", tag=TAG) as ours:
        with pytest.raises(grpc.aio.AioRpcError, match="protocol 8 to 9") as refused:
            await newer.hello_to(ours.address)

        (one,) = (await status_of(ours)).refused
        assert (one.address, one.reason) == (str(newer.address), refused.value.details())
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION

        newer.min_protocol = 1  # it was put back to a release that gets on with this one
        await newer.hello_to(ours.address)
        assert not (await status_of(ours)).refused


async def test_what_answers_and_is_no_realign_is_named_in_the_status(tmp_path: Path) -> None:
    async with (
        serving([]) as port,
        loopback_node(tmp_path / "ours", tag=TAG, peers=(Address(host="127.0.0.1", port=port),)) as ours,
    ):
        await until(ours.view.refused)

        assert ours.view.refused()[0].reason.startswith("the node's realign is too old for this")


# A node that lacks a method cannot do what it is asked: every caller goes on as if it were not there.

Call = Callable[[grpc.aio.Channel, Path], Awaitable[object]]
PREPARE = Prepare(job_id="J", instance=0, ballot=Ballot(config_epoch=0, epoch=1, node="a"))
ACCEPT = Accept(
    job_id="J", instance=0, ballot=PREPARE.ballot, value=b'{"end":"cancelled","manifest":"' + b"0" * 64 + b'"}'
)


def _work_links(channel: grpc.aio.Channel, folder: Path) -> WorkLinks:
    return WorkLinks(node_id="here", channel=lambda _: channel, blobs=BlobStore(folder / "blobs"))


def _journal(channel: grpc.aio.Channel, folder: Path) -> JournalLink:
    return JournalLink(channel=channel, node=NODE, links=_work_links(channel, folder))


async def _attend(channel: grpc.aio.Channel, folder: Path) -> list[object]:
    async with _work_links(channel, folder).connect(NODE) as link:
        return [event async for event in link.events()]


async def _follow(channel: grpc.aio.Channel, folder: Path) -> list[object]:
    return [batch async for batch in _journal(channel, folder).follow(Position(index_id=""))]


async def _fetch(channel: grpc.aio.Channel, folder: Path) -> list[object]:
    return [item async for item in _journal(channel, folder).fetch([Ref(kind="result", ref="r")])]


async def _relay(channel: grpc.aio.Channel, _: Path) -> list[object]:
    return [event async for event in relayed(CurationStub(channel).WatchJob(curation_pb2.JobRef(job_id="J")))]


class _Connected:
    """As much of a cluster's view as is asked for a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def channel(self, _node: str) -> grpc.aio.Channel:
        return self._channel


CALLERS: dict[str, tuple[Call, type[Exception]]] = {
    "Measure": (lambda channel, _: Neighbours(cast("Any", _Connected(channel))).measure(NODE, "m"), ConnectionError),
    "Attend": (_attend, ConnectionError),
    "FetchBlob": (
        lambda channel, folder: _work_links(channel, folder).fetch_blob(NODE, Sha256("0" * 64)),
        ConnectionError,
    ),
    "Follow": (_follow, ConnectionError),
    "Fetch": (_fetch, ConnectionError),
    "Prepare": (lambda channel, _: DecisionLink(channel=lambda _: channel).ask(NODE, PREPARE), ConnectionError),
    "Accept": (lambda channel, _: DecisionLink(channel=lambda _: channel).ask(NODE, ACCEPT), ConnectionError),
    "Renew": (lambda channel, _: Holder(lambda: [channel]).renew(b"csr"), Unreachable),
    "GetJob": (
        lambda channel, _: passed_on(CurationStub(channel).GetJob(curation_pb2.JobRef(job_id="J"))),
        Incompatible,
    ),
    "WatchJob": (_relay, Incompatible),
    "TakeIn": (lambda channel, _: passed_on(FilesStub(channel).TakeIn(files_pb2.SharedFile(path="p"))), Incompatible),
}


@pytest.mark.parametrize(("call", "refusal"), CALLERS.values(), ids=CALLERS)
async def test_a_method_that_the_other_node_lacks_is_an_error_that_every_caller_knows(
    tmp_path: Path, call: Call, refusal: type[Exception]
) -> None:
    async with running(previous()) as older, grpc.aio.insecure_channel(str(older.address)) as channel:
        with pytest.raises(refusal):
            await call(channel, tmp_path)


async def test_a_home_that_cannot_say_what_its_jobs_use_counts_as_not_asked() -> None:
    async with running(previous()) as older, grpc.aio.insecure_channel(str(older.address)) as channel:
        used = await Homes(nodes=lambda: [NODE], channel=lambda _: channel).ask(frozenset({NODE}))

    assert (used.keys, used.unreached) == (frozenset(), (f"node {NODE}",))


async def test_a_node_that_shares_nothing_keeps_nobody_from_sharing(tmp_path: Path) -> None:
    network = Network()
    async with running(previous()) as older, grpc.aio.insecure_channel(str(older.address)) as channel:
        network[NODE] = channel
        async with Peer("a", tmp_path / "a", network) as a, Peer("b", tmp_path / "b", network) as b:
            await a.add("k")
            await alike(a, b)


async def test_a_node_that_makes_no_digests_is_followed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "COMPARE_EVERY_S", 0.1)
    monkeypatch.setattr(replicator, "LOOK_AT_CLOCK_S", 0.05)
    compared = asyncio.Event()

    async def compare(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        compared.set()
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        servicer = JournalServicer(a.journal)
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Follow": grpc.unary_stream_rpc_method_handler(
                servicer.Follow, journal_pb2.FollowRequest.FromString, journal_pb2.Headers.SerializeToString
            ),
            "Fetch": grpc.unary_stream_rpc_method_handler(
                servicer.Fetch, journal_pb2.FetchRequest.FromString, journal_pb2.Item.SerializeToString
            ),
            "Compare": grpc.unary_unary_rpc_method_handler(compare),
        }
        async with (
            serving([grpc.method_handlers_generic_handler("realign.v1.Journal", methods)]) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            network["a"] = channel
            async with Peer("b", tmp_path / "b", network) as b:
                with capture_logs() as logs:
                    await a.add("k")
                    await asyncio.wait_for(compared.wait(), DEADLINE_S)
                    await a.add("later")
                    await b.until(lambda: _holds(b, "later"))

    assert not [line for line in logs if line["event"] in ("journal.differs", "journal.unreachable")]


async def test_a_kind_of_thing_that_the_older_node_does_not_know_is_none_that_it_has_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "COMPARE_EVERY_S", 0.1)
    monkeypatch.setattr(replicator, "LOOK_AT_CLOCK_S", 0.05)
    network = Network()
    newer = Peer("newer", tmp_path / "newer", network)
    monkeypatch.setattr(journal_peers, "KINDS", (RESULTS,))
    older = Peer("older", tmp_path / "older", network)
    compared = 0

    async def digests() -> dict[str, str]:
        nonlocal compared
        compared += 1
        return await Journal.digests(older.journal)

    monkeypatch.setattr(older.journal, "digests", digests)
    with capture_logs() as logs:
        async with newer, older:
            await newer.ledger.add_job(job("J"))
            await newer.add("k")
            await older.until(lambda: _holds(older, "k"))
            await until(lambda: compared > 4)  # by either of them

    differing = {kind for line in logs if line["event"] == "journal.differs" for kind in line["kinds"]}
    assert differing <= {RESULTS.name}  # one that is just being fetched


async def _holds(node: Peer, key: str) -> bool:
    return bool(await node.ledger.results([UnitKey(key)]))


async def test_an_event_of_a_newer_node_that_this_release_does_not_know_is_passed_over(tmp_path: Path) -> None:
    capacity = work_pb2.WorkEvent(capacity=work_pb2.Capacity(slots=3, model="m", accepting=True))

    async def attend(_requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
        yield UNKNOWN
        yield capacity.SerializeToString() + UNKNOWN

    work = grpc.method_handlers_generic_handler(
        "realign.v1.Work", {"Attend": grpc.stream_stream_rpc_method_handler(attend)}
    )
    async with serving([work]) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await _attend(channel, tmp_path) == [Capacity(slots=3, model="m", accepting=True)]


async def test_an_older_node_that_passes_a_message_on_loses_nothing_of_it() -> None:
    wire = curation_pb2.JobRequest(client_token="t").SerializeToString() + UNKNOWN

    assert curation_pb2.JobRequest.FromString(wire).SerializeToString() == wire
