"""Decision messages to and from the wire. Pure, and strict: what a vote rests on is read exactly or not at all.

A ballot's epoch carries its config epoch in the upper half, and a decision its config epoch before a colon. Every
function that reads raises ValueError for what no node of this version sends.
"""

from __future__ import annotations

import re
from typing import assert_never

from realign_daemon.decision.ballot import NEVER, Ballot, Vote
from realign_daemon.decision.messages import Accept, Accepted, Decision, Known, Prepare, Promised, Refused, Reply
from realign_daemon.decision.value import value_from_bytes
from realign_proto.v1 import decision_pb2 as pb

EPOCH_BITS = 32
EPOCHS = 2**EPOCH_BITS

_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")  # of a node and of a job


def prepare_to_wire(request: Prepare) -> pb.PrepareRequest:
    """The request as a message."""
    return pb.PrepareRequest(job_id=request.job_id, instance=request.instance, ballot=_ballot_to_wire(request.ballot))


def prepare_from_wire(wire: pb.PrepareRequest) -> Prepare:
    """The request in the message."""
    return Prepare(job_id=_name(wire.job_id), instance=wire.instance, ballot=_ballot(wire.ballot))


def accept_to_wire(request: Accept) -> pb.AcceptRequest:
    """The request as a message."""
    return pb.AcceptRequest(
        job_id=request.job_id,
        instance=request.instance,
        ballot=_ballot_to_wire(request.ballot),
        value=request.value,
    )


def accept_from_wire(wire: pb.AcceptRequest) -> Accept:
    """The request in the message. A value that this version cannot read gets no vote."""
    return Accept(
        job_id=_name(wire.job_id), instance=wire.instance, ballot=_ballot(wire.ballot), value=_value(wire.value)
    )


def prepare_reply_to_wire(reply: Reply) -> pb.PrepareReply:
    """The answer to Prepare as a message."""
    match reply:
        case Promised(ballot=ballot, vote=vote):
            accepted, value = (None, b"") if vote is None else (_ballot_to_wire(vote.ballot), vote.value)
            return pb.PrepareReply(promised=True, highest=_ballot_to_wire(ballot), accepted=accepted, value=value)
        case Refused(highest=highest):
            return pb.PrepareReply(highest=_ballot_to_wire(highest))
        case Known(decision=decision):
            return pb.PrepareReply(decided=_decision_to_wire(decision))
        case Accepted():
            raise ValueError("a vote is no answer to Prepare")
        case _:
            assert_never(reply)


def prepare_reply_from_wire(wire: pb.PrepareReply) -> Reply:
    """The answer to Prepare in the message."""
    if wire.decided:
        return Known(decision=_decision(wire.decided))
    if not wire.promised:
        return Refused(highest=_promised(wire.highest))
    vote = Vote(ballot=_ballot(wire.accepted), value=_value(wire.value)) if wire.HasField("accepted") else None
    return Promised(ballot=_ballot(wire.highest), vote=vote)


def accept_reply_to_wire(reply: Reply) -> pb.AcceptReply:
    """The answer to Accept as a message."""
    match reply:
        case Accepted(ballot=ballot):
            return pb.AcceptReply(accepted=True, highest=_ballot_to_wire(ballot))
        case Refused(highest=highest):
            return pb.AcceptReply(highest=_ballot_to_wire(highest))
        case Known(decision=decision):
            return pb.AcceptReply(decided=_decision_to_wire(decision))
        case Promised():
            raise ValueError("a promise is no answer to Accept")
        case _:
            assert_never(reply)


def accept_reply_from_wire(wire: pb.AcceptReply) -> Reply:
    """The answer to Accept in the message."""
    if wire.decided:
        return Known(decision=_decision(wire.decided))
    return Accepted(ballot=_ballot(wire.highest)) if wire.accepted else Refused(highest=_promised(wire.highest))


def _ballot_to_wire(ballot: Ballot) -> pb.Ballot:
    if ballot.config_epoch >= EPOCHS or ballot.epoch >= EPOCHS:
        raise ValueError(f"{ballot} does not fit into a message")
    return pb.Ballot(epoch=ballot.config_epoch << EPOCH_BITS | ballot.epoch, node=ballot.node)


def _ballot(wire: pb.Ballot) -> Ballot:
    config_epoch, epoch = divmod(wire.epoch, EPOCHS)
    if epoch == 0:
        raise ValueError("a message lacks its ballot")
    return Ballot(config_epoch=config_epoch, epoch=epoch, node=_name(wire.node))


def _promised(wire: pb.Ballot) -> Ballot:
    return _ballot(wire) if wire.epoch else NEVER


def _decision_to_wire(decision: Decision) -> bytes:
    return b"%d:%b" % (decision.config_epoch, decision.value)


def _decision(wire: bytes) -> Decision:
    config_epoch, _, value = wire.partition(b":")
    if not config_epoch.isdigit() or len(config_epoch) > len(str(EPOCHS)):
        raise ValueError("a decision lacks its config epoch")
    return Decision(config_epoch=int(config_epoch), value=_value(value))


def _value(encoded: bytes) -> bytes:
    value_from_bytes(encoded)
    return encoded


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no name of a node or a job")
    return text
