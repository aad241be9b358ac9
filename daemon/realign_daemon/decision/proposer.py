"""Proposer: asks the voters of one instance for their votes until a value is decided. Pure: events in, effects out.

Claiming  ->  Preparing  ->  Accepting  ->  Concluded
    ^             |              |
    +-- Resting <-+--------------+      too many refused or did not answer

Two rules keep the value single: nobody is asked under a ballot that the own acceptor has not claimed durably, and a
value that a voter of the promising majority has already voted for is proposed in place of the own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from realign_daemon.decision.ballot import NEVER, Ballot, Vote
from realign_daemon.decision.messages import (
    Accept,
    Accepted,
    Decision,
    Known,
    Prepare,
    Promised,
    Refused,
    Reply,
    Request,
)
from realign_daemon.decision.quorum import Electorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a node wants decided, and by whom."""

    node: str
    job_id: str
    instance: int
    config_epoch: int
    electorate: Electorate
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The own acceptor answered a Claim, durably."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A voter answered."""

    node: str
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A voter could not be reached, or gave no answer in time."""

    node: str
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Rested:
    """The time of a Rest is over."""


Event = Claimed | Answered | Unanswered | Rested


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Have the own acceptor claim a ballot above this one, then say Claimed."""

    above: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask a node, which may be this one; then say Answered or Unanswered."""

    node: str
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Wait the longer the more attempts have failed, by chance, so that two proposers do not meet for ever."""

    attempts: int


Effect = Claim | Ask | Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One round of asking: who is for the ballot, and who no longer can be."""

    ballot: Ballot
    won: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    highest: Ballot  # that anybody refused it for


@dataclass(frozen=True, slots=True, kw_only=True)
class Claiming:
    """The own acceptor was asked for a ballot."""

    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """Promises come in; `vote` is the highest that came with them."""

    attempts: int
    poll: Poll
    vote: Vote | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """Votes for the value come in."""

    attempts: int
    poll: Poll
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An attempt failed."""

    attempts: int
    above: Ballot


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """The instance is decided, for this value or another."""

    decision: Decision


State = Claiming | Preparing | Accepting | Resting | Concluded
Step = tuple[State, tuple[Effect, ...]]


def start() -> Step:
    """A proposer that has asked nobody yet."""
    return Claiming(attempts=0), (Claim(above=NEVER),)


def step(proposal: Proposal, state: State, event: Event) -> Step:  # noqa: PLR0911 - a row for each state and event
    """What the event makes of the proposer. What comes too late to matter changes nothing."""
    match state, event:
        case Concluded(), _:
            return state, ()
        case _, Claimed(reply=Known(decision=decision)) | Answered(reply=Known(decision=decision)):
            return Concluded(decision=decision), ()
        case Claiming(attempts=attempts), Claimed(reply=Promised(ballot=ballot, vote=vote)):
            return _claimed(proposal, attempts, ballot, vote)
        case Claiming(attempts=attempts), Claimed(reply=Refused(highest=highest)):
            return _rest(attempts, highest)
        case Preparing(poll=poll), Answered(node=node, reply=Promised(ballot=ballot, vote=vote)):
            return _promised(proposal, state, node, vote) if ballot == poll.ballot else (state, ())
        case Accepting(poll=poll), Answered(node=node, reply=Accepted(ballot=ballot)):
            return _accepted(proposal, state, node) if ballot == poll.ballot else (state, ())
        case ((Preparing() | Accepting()), Answered(node=node, reply=Refused(highest=highest))):
            return _lost(proposal, state, node, highest)
        case ((Preparing() | Accepting()), Unanswered(node=node, request=request)):
            return _lost(proposal, state, node, NEVER) if request == _request(proposal, state) else (state, ())
        case Resting(attempts=attempts, above=above), Rested():
            return Claiming(attempts=attempts), (Claim(above=above),)
        case _:
            return state, ()


def _claimed(proposal: Proposal, attempts: int, ballot: Ballot, vote: Vote | None) -> Step:
    """The own promise may be majority enough; else the others are asked for theirs."""
    poll = Poll(ballot=ballot, won=frozenset({proposal.node}), highest=ballot)
    state, effects = _counted(proposal, Preparing(attempts=attempts, poll=poll, vote=vote))
    if isinstance(state, Preparing):
        others = (voter for voter in proposal.electorate.voters if voter != proposal.node)
        return state, tuple(Ask(node=voter, request=_request(proposal, state)) for voter in others)
    return state, effects


def _promised(proposal: Proposal, state: Preparing, node: str, vote: Vote | None) -> Step:
    known = state.vote
    highest = vote if vote is not None and (known is None or vote.ballot > known.ballot) else known
    return _counted(proposal, Preparing(attempts=state.attempts, poll=_won(state.poll, node), vote=highest))


def _accepted(proposal: Proposal, state: Accepting, node: str) -> Step:
    return _counted(proposal, Accepting(attempts=state.attempts, poll=_won(state.poll, node), value=state.value))


def _lost(proposal: Proposal, state: Preparing | Accepting, node: str, highest: Ballot) -> Step:
    poll = state.poll
    poll = replace(poll, lost=poll.lost | ({node} - poll.won), highest=max(poll.highest, highest))
    return _counted(proposal, replace(state, poll=poll))


def _counted(proposal: Proposal, state: Preparing | Accepting) -> Step:
    """On to the next phase with a majority, to rest once none is possible, else no change."""
    poll, electorate = state.poll, proposal.electorate
    if electorate.is_majority(poll.won):
        if isinstance(state, Accepting):
            return Concluded(decision=Decision(config_epoch=proposal.config_epoch, value=state.value)), ()
        value = proposal.value if state.vote is None else state.vote.value
        poll = Poll(ballot=poll.ballot, highest=poll.ballot)
        accepting = Accepting(attempts=state.attempts, poll=poll, value=value)
        request = _request(proposal, accepting)
        return accepting, tuple(Ask(node=voter, request=request) for voter in electorate.voters)
    if not electorate.is_majority(frozenset(electorate.voters) - poll.lost):
        return _rest(state.attempts, poll.highest)
    return state, ()


def _rest(attempts: int, above: Ballot) -> Step:
    return Resting(attempts=attempts + 1, above=above), (Rest(attempts=attempts + 1),)


def _won(poll: Poll, node: str) -> Poll:
    return replace(poll, won=poll.won | {node}, lost=poll.lost - {node})


def _request(proposal: Proposal, state: Preparing | Accepting) -> Request:
    """What this phase asks of everybody."""
    job_id, instance, ballot = proposal.job_id, proposal.instance, state.poll.ballot
    if isinstance(state, Preparing):
        return Prepare(job_id=job_id, instance=instance, ballot=ballot)
    return Accept(job_id=job_id, instance=instance, ballot=ballot, value=state.value)
