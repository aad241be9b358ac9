"""Questions and answers on the wire, and a voter asked over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.cluster.facts import NodeId
from realign_daemon.decision.ballot import NEVER, Ballot, Vote
from realign_daemon.decision.messages import Accept, Accepted, Decision, Known, Prepare, Promised, Refused, Reply
from realign_daemon.decision.store import DecisionStore
from realign_daemon.decision.value import Ended, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import NotAllowed
from realign_daemon.rpc import decision_convert as convert
from realign_daemon.rpc.caller import CALLER
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.decision_link import DecisionLink
from realign_daemon.rpc.decision_servicer import DecisionServicer
from realign_daemon.rpc.doors import ANYBODY
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.rpc.kept_channel import kept
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.principal import OWNER, Principal
from realign_daemon.work.database import Database
from realign_proto.v1 import decision_pb2 as pb
from realign_proto.v1.decision_pb2_grpc import DecisionStub

VALUE = value_to_bytes(Ended(state="completed", manifest=Sha256("d" * 64)))

names = st.from_regex(r"[0-9A-Za-z_-]{1,64}", fullmatch=True)
epochs = st.integers(0, convert.EPOCHS - 1)
ballots = st.builds(Ballot, config_epoch=epochs, epoch=st.integers(1, convert.EPOCHS - 1), node=names)
decisions = st.builds(Decision, config_epoch=epochs, value=st.just(VALUE))
votes = st.none() | st.builds(Vote, ballot=ballots, value=st.just(VALUE))
known = st.builds(Known, decision=decisions)
refused = st.builds(Refused, highest=ballots | st.just(NEVER))
promised = st.builds(Promised, ballot=ballots, vote=votes)
accepted = st.builds(Accepted, ballot=ballots)


@given(job_id=names, instance=st.integers(0, 2**32 - 1), ballot=ballots)
def test_questions_arrive_as_they_were_sent(job_id: str, instance: int, ballot: Ballot) -> None:
    prepare = Prepare(job_id=job_id, instance=instance, ballot=ballot)
    accept = Accept(job_id=job_id, instance=instance, ballot=ballot, value=VALUE)
    wire = pb.PrepareRequest.FromString(convert.prepare_to_wire(prepare).SerializeToString())
    assert convert.prepare_from_wire(wire) == prepare
    wire = pb.AcceptRequest.FromString(convert.accept_to_wire(accept).SerializeToString())
    assert convert.accept_from_wire(wire) == accept


@given(reply=promised | refused | known)
def test_answers_to_prepare_arrive_as_they_were_sent(reply: Reply) -> None:
    wire = pb.PrepareReply.FromString(convert.prepare_reply_to_wire(reply).SerializeToString())
    assert convert.prepare_reply_from_wire(wire) == reply


@given(reply=accepted | refused | known)
def test_answers_to_accept_arrive_as_they_were_sent(reply: Reply) -> None:
    wire = pb.AcceptReply.FromString(convert.accept_reply_to_wire(reply).SerializeToString())
    assert convert.accept_reply_from_wire(wire) == reply


BALLOT = pb.Ballot(epoch=1, node="a")


@pytest.mark.parametrize(
    "wire",
    [
        pb.PrepareRequest(),
        pb.PrepareRequest(job_id="job", ballot=pb.Ballot(epoch=1)),
        pb.PrepareRequest(job_id="job", ballot=pb.Ballot(epoch=convert.EPOCHS, node="a")),
        pb.PrepareRequest(job_id="", ballot=BALLOT),
        pb.PrepareRequest(job_id="a/b", ballot=BALLOT),
        pb.PrepareRequest(job_id="j" * 65, ballot=BALLOT),
    ],
)
def test_a_question_that_no_node_asks_is_refused(wire: pb.PrepareRequest) -> None:
    with pytest.raises(ValueError):
        convert.prepare_from_wire(wire)


@pytest.mark.parametrize("value", [b"", VALUE + b" ", b'{"end":"exploded"}'])
def test_a_value_that_this_version_does_not_know_gets_no_vote(value: bytes) -> None:
    with pytest.raises(ValueError):
        convert.accept_from_wire(pb.AcceptRequest(job_id="job", ballot=BALLOT, value=value))


@pytest.mark.parametrize("decided", [b"x", b":" + VALUE, VALUE, b"-1:" + VALUE, b"99999999999:" + VALUE, b"0:{}"])
def test_a_decision_that_no_node_sends_is_refused(decided: bytes) -> None:
    with pytest.raises(ValueError):
        convert.prepare_reply_from_wire(pb.PrepareReply(decided=decided))
    with pytest.raises(ValueError):
        convert.accept_reply_from_wire(pb.AcceptReply(decided=decided))


@pytest.fixture
async def channel(tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """To a voter."""
    database = Database(tmp_path / "voter.sqlite")
    await database.open()
    server = grpc.aio.server(interceptors=[FaultInterceptor()])
    DecisionServicer(DecisionStore(database, noted=lambda _connection, _job_id, _instance: None)).add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = kept(open_channel(f"127.0.0.1:{port}"))
    yield channel
    await channel.close()
    await server.stop(None)
    await database.close()


async def test_a_voter_is_asked_over_a_connection(channel: grpc.aio.Channel) -> None:
    link = DecisionLink(channel=lambda node: channel if node == "b" else None)
    low, high = Ballot(epoch=1, node="a"), Ballot(epoch=2, node="c")
    accept = Accept(job_id="job", instance=0, ballot=high, value=VALUE)
    assert await link.ask("b", Prepare(job_id="job", instance=0, ballot=low)) == Promised(ballot=low, vote=None)
    assert await link.ask("b", accept) == Accepted(ballot=high)
    assert await link.ask("b", Prepare(job_id="job", instance=0, ballot=low)) == Refused(highest=high)
    vote = Vote(ballot=high, value=VALUE)
    assert await link.ask("b", Prepare(job_id="job", instance=0, ballot=high)) == Promised(ballot=high, vote=vote)


async def test_a_question_that_cannot_be_read_is_the_callers_mistake(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await DecisionStub(channel).Prepare(pb.PrepareRequest(job_id="job"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_node_that_is_not_there_gives_no_answer(channel: grpc.aio.Channel) -> None:
    request = Prepare(job_id="job", instance=0, ballot=Ballot(epoch=1, node="a"))
    with pytest.raises(ConnectionError, match="node c is not connected"):
        await DecisionLink(channel=lambda _: None).ask("c", request)
    await channel.close()
    with pytest.raises(ConnectionError):
        await DecisionLink(channel=lambda _: channel).ask("b", request)


MEMBER = Principal(kind="node", role="node", name="a", spki=SpkiHash("k" * 64), node_id=NodeId("a"))


@pytest.mark.parametrize("caller", [MEMBER, OWNER, ANYBODY])
async def test_a_node_that_proved_which_it_is_asks_under_ballots_of_its_own_only(
    tmp_path: Path, caller: Principal
) -> None:
    database = Database(tmp_path / "voter.sqlite")
    await database.open()
    asked = DecisionServicer(DecisionStore(database, noted=lambda _connection, _job_id, _instance: None))
    context = cast("Any", None)  # it is not looked at
    CALLER.set(caller)
    for number, node in enumerate(("a", "b"), start=1):
        ballot = Ballot(epoch=number, node=node)
        prepare = convert.prepare_to_wire(Prepare(job_id="job", instance=0, ballot=ballot))
        accept = convert.accept_to_wire(Accept(job_id="job", instance=0, ballot=ballot, value=VALUE))
        if caller is MEMBER and node == "b":
            with pytest.raises(NotAllowed, match="node a may not speak as node b"):
                await asked.Prepare(prepare, context)
            with pytest.raises(NotAllowed, match="node a may not speak as node b"):
                await asked.Accept(accept, context)
        else:
            assert (await asked.Prepare(prepare, context)).promised
            assert (await asked.Accept(accept, context)).accepted
    await database.close()
