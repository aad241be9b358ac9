"""Membership: who is in the cluster and how they seem to be. Pure: beats and the time go in, events come out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.timing import DEFAULT, Timing

MemberState = Literal["alive", "suspect", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Another node, its last beat, and when that came (continuous seconds of this node)."""

    beat: Beat
    heard_at_s: float
    state: MemberState = "alive"

    @property
    def node(self) -> NodeId:
        """Its identity."""
        return self.beat.node


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerJoined:
    """A node was heard for the first time."""

    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSuspected:
    """A node is silent: give it nothing new."""

    node: NodeId
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost:
    """A node is given up: its work goes to others."""

    node: NodeId
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReturned:
    """A node that was silent, given up or started anew is there again. `restarted`: it forgot what it was doing."""

    node: NodeId
    restarted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerChanged:
    """A node's facts are other than they were."""

    node: NodeId


PeerEvent = PeerJoined | PeerSuspected | PeerLost | PeerReturned | PeerChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Every other node that was ever heard, by node id."""

    members: tuple[Member, ...] = ()
    ticked_at_s: float | None = None
    counts_from_s: float = -math.inf  # silence before this moment was ours

    def member(self, node: NodeId) -> Member | None:
        """The node, or None when it was never heard."""
        return next((member for member in self.members if member.node == node), None)

    @property
    def present(self) -> tuple[Member, ...]:
        """Those not given up."""
        return tuple(member for member in self.members if member.state != "dead")


Heard = tuple[Membership, tuple[PeerEvent, ...]]


def heard(state: Membership, beat: Beat, now_s: float) -> Heard:
    """The membership after a beat. One that came before, over another connection, changes nothing."""
    known = state.member(beat.node)
    if known and known.beat.boot == beat.boot and beat.sequence <= known.beat.sequence:
        return state, ()
    return _with(state, Member(beat=beat, heard_at_s=now_s)), _news(known, beat)


def doubted(state: Membership, node: NodeId, now_s: float, timing: Timing = DEFAULT) -> Heard:
    """The membership after the last connection to a node broke: suspected at once, given up only in its time.

    Not so when this process has just stood still: then the others gave the connection up, and they are well.
    """
    known = state.member(node)
    ours = _lagged(state, now_s, timing) or now_s - state.counts_from_s < timing.dead_s
    if known is None or known.state != "alive" or ours:
        return state, ()
    return _with(state, replace(known, state="suspect")), (PeerSuspected(node=node, silent_s=now_s - known.heard_at_s),)


def tick(state: Membership, now_s: float, timing: Timing = DEFAULT) -> Heard:
    """The membership at this moment. Must be called often: a gap above timing.lag_s starts every count anew.

    A process that stood still (a busy machine, a laptop asleep) heard nobody and has no right to call them silent. The
    idea is the local health of Lifeguard (Dadgar, Phillips, Currey 2017).
    """
    counts_from_s = now_s if _lagged(state, now_s, timing) else state.counts_from_s
    members: list[Member] = []
    events: list[PeerEvent] = []
    for member in state.members:
        silent_s = now_s - max(member.heard_at_s, counts_from_s)
        judged = member
        if member.state != "dead" and silent_s >= timing.dead_s:
            judged = replace(member, state="dead")
            events.append(PeerLost(node=member.node, silent_s=now_s - member.heard_at_s))
        elif member.state == "alive" and silent_s >= timing.suspect_s:
            judged = replace(member, state="suspect")
            events.append(PeerSuspected(node=member.node, silent_s=now_s - member.heard_at_s))
        members.append(judged)
    return Membership(members=tuple(members), ticked_at_s=now_s, counts_from_s=counts_from_s), tuple(events)


def _lagged(state: Membership, now_s: float, timing: Timing) -> bool:
    return state.ticked_at_s is not None and now_s - state.ticked_at_s > timing.lag_s


def _news(known: Member | None, beat: Beat) -> tuple[PeerEvent, ...]:
    if known is None:
        return (PeerJoined(node=beat.node),)
    events: list[PeerEvent] = []
    restarted = known.beat.boot != beat.boot
    if restarted or known.state != "alive":
        events.append(PeerReturned(node=beat.node, restarted=restarted))
    if known.beat.facts != beat.facts:
        events.append(PeerChanged(node=beat.node))
    return tuple(events)


def _with(state: Membership, member: Member) -> Membership:
    others = [other for other in state.members if other.node != member.node]
    return replace(state, members=tuple(sorted((*others, member), key=lambda one: one.node)))
