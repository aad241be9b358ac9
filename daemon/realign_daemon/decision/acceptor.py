"""Acceptor: a voter's memory of one instance of a job, and what each request makes of it. Pure.

Every function gives the memory afterwards and the answer. The answer may leave only once that memory is durable: the
whole proof rests on an acceptor that never forgets what it has said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from realign_daemon.decision.ballot import NEVER, Ballot, Vote
from realign_daemon.decision.errors import Diverged
from realign_daemon.decision.messages import Accepted, Decision, Known, Promised, Refused, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptor:
    """What was promised, voted and heard; the default is a voter that was never asked.

    `config_epochs` are those of the decisions on this job, of any instance, that the node knows. It votes in no other:
    were it to promise something in an epoch whose adoption then gets lost, it could help nobody any more. A node that
    may have forgotten what it said in one of them leaves that out; see decision.amnesia.
    """

    promised: Ballot = NEVER
    vote: Vote | None = None
    decision: Decision | None = None
    config_epochs: frozenset[int] = frozenset({0})


def prepare(state: Acceptor, ballot: Ballot) -> tuple[Acceptor, Reply]:
    """Promises the ballot unless a higher one was promised. A repeated request gets its answer again."""
    if (objection := _objection(state, ballot)) is not None:
        return state, objection
    vote = state.vote if state.vote is not None and state.vote.ballot.config_epoch == ballot.config_epoch else None
    return replace(state, promised=ballot), Promised(ballot=ballot, vote=vote)


def accept(state: Acceptor, ballot: Ballot, value: bytes) -> tuple[Acceptor, Reply]:
    """Votes for the value unless a higher ballot was promised."""
    if (objection := _objection(state, ballot)) is not None:
        return state, objection
    return replace(state, promised=ballot, vote=Vote(ballot=ballot, value=value)), Accepted(ballot=ballot)


def claim(state: Acceptor, node: str, config_epoch: int, above: Ballot) -> tuple[Acceptor, Reply]:
    """Promises the acceptor's own node a ballot above `above` and above all promised here: it was never used before.

    A node asks nobody under a ballot that it has not claimed, so that after a crash it cannot ask under the same ballot
    for another value.
    """
    floor = max(state.promised, above, Ballot(config_epoch=config_epoch))
    ballot = Ballot(config_epoch=config_epoch, epoch=floor.epoch + 1, node=node)
    if ballot < floor:  # others are already past an adoption of which this node has not heard
        return state, _objection(state, ballot) or Refused(highest=floor)
    return prepare(state, ballot)


def learn(state: Acceptor, decision: Decision) -> Acceptor:
    """The memory with the decision that stands: that of the higher config epoch.

    Raises:
        Diverged: another value was decided in the same config epoch.
    """
    held = state.decision
    if held is None or decision.config_epoch > held.config_epoch:
        return replace(state, decision=decision, config_epochs=state.config_epochs | {decision.config_epoch})
    if decision.config_epoch == held.config_epoch and decision.value != held.value:
        raise Diverged(held=held.value, other=decision.value)
    return state


def _objection(state: Acceptor, ballot: Ballot) -> Reply | None:
    """Why nothing is promised or voted in this ballot; None when it can be."""
    if state.decision is not None and state.decision.config_epoch >= ballot.config_epoch:
        return Known(decision=state.decision)
    is_heard_of = ballot.config_epoch in state.config_epochs
    return None if is_heard_of and ballot >= state.promised else Refused(highest=state.promised)
