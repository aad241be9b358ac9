"""Standing: how the leader and the members stand, as one node sees them."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import JobDigest
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.membership import Member, MemberState


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderView:
    """Who leads. `node` is None while one is chosen."""

    node: NodeId | None
    name: str
    term: int
    since_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """A node as this one sees it. `silent_s` is the time since its last beat, 0 for this node itself."""

    node: NodeId
    state: MemberState
    silent_s: float
    addresses: tuple[Address, ...]
    facts: NodeFacts
    jobs: tuple[JobDigest, ...]
    is_self: bool


def standing(member: Member, *, now_s: float, addresses: tuple[Address, ...]) -> MemberView:
    """Another node at this moment, in continuous seconds of this one."""
    return MemberView(
        node=member.node,
        state=member.state,
        silent_s=now_s - member.heard_at_s,
        addresses=addresses,
        facts=member.beat.facts,
        jobs=member.beat.jobs,
        is_self=False,
    )
