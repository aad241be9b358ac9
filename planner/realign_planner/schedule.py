"""The schedule: which node gets how many units next, given a snapshot of who holds what.

Nodes are fed as they finish. Speeds only size what a node holds in advance: about half of what is left, in ratio to
speed (weighted factoring: Hummel, Schonberg and Flynn, CACM 1992), never more than its slots and a small prefetch. At
the end units that a slow node has not started move to a node that would end them sooner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Final

PREFETCH_FRACTION: Final = 0.25  # of a node's slots, held ready beyond them: hides a round trip and a disk commit


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """What one node holds and how fast it is. `in_flight` counts everything assigned and not ended."""

    node_id: str
    examples_per_s: (
        float  # running average, or the benchmark before the first result; 0 = unknown: as the slowest known
    )
    slots: int  # units in flight that keep its engine full
    in_flight: int
    unstarted: int  # of those in flight, less any already asked back
    accepting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Units that no node holds, and the nodes."""

    pending: int
    nodes: tuple[NodeLoad, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Give `count` of the pending units to this node."""

    node_id: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Ask this node to give back `count` units that it has not started."""

    node_id: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do until something changes, and why."""

    reason: str


Decision = Assign | Revoke | Wait


def decide(snapshot: Snapshot) -> tuple[Decision, ...]:
    """The next moves; never empty: one Wait when there is nothing else.

    Assigned counts sum to at most `pending`, go to accepting nodes only, and no node is named twice. Ties go to the
    node that would run dry first, then to the lower node id. While units are pending and an accepting node holds
    nothing, somebody gets work, so repeating decide-and-finish ends.
    """
    snapshot = _with_every_speed(snapshot)
    assigned = _assignments(snapshot)
    revoked = _revocations(snapshot) if not snapshot.pending else _from_the_stopped(snapshot)
    return (*assigned, *revoked) or (Wait(reason=_why(snapshot)),)


def _with_every_speed(snapshot: Snapshot) -> Snapshot:
    slowest = min((node.examples_per_s for node in snapshot.nodes if node.examples_per_s > 0), default=1.0)
    nodes = (node if node.examples_per_s > 0 else replace(node, examples_per_s=slowest) for node in snapshot.nodes)
    return Snapshot(pending=snapshot.pending, nodes=tuple(nodes))


def _assignments(snapshot: Snapshot) -> tuple[Assign, ...]:
    takers = [node for node in snapshot.nodes if node.accepting and node.slots > 0]
    total_speed = sum(node.examples_per_s for node in takers)
    left = snapshot.pending
    remaining = left + sum(node.in_flight for node in takers)
    decisions: list[Assign] = []
    for node in sorted(
        takers, key=lambda node: (node.in_flight / node.examples_per_s, -node.examples_per_s, node.node_id)
    ):
        part = node.examples_per_s / total_speed
        ceiling = min(node.slots + ceil(node.slots * PREFETCH_FRACTION), ceil(remaining * part))
        chunk = max(node.slots - node.in_flight, ceil(snapshot.pending * part / 2))
        count = min(left, ceiling - node.in_flight, chunk)
        if count > 0 and not _others_end_sooner(node, takers, snapshot.pending):
            decisions.append(Assign(node_id=node.node_id, count=count))
            left -= count
    return tuple(decisions)


def _others_end_sooner(node: NodeLoad, takers: list[NodeLoad], pending: int) -> bool:
    """Whether another node would end everything pending before this one ends a single unit more."""
    own_end_s = _end_s(node, 1)
    return any(_end_s(other, pending) < own_end_s for other in takers if other is not node)


def _end_s(node: NodeLoad, more: int) -> float:
    """Seconds until the node has ended all it holds and `more` units; one batch takes as long as a full one, at most."""
    return max(node.in_flight + more, node.slots) / node.examples_per_s


def _revocations(snapshot: Snapshot) -> tuple[Revoke, ...]:
    """Unstarted units to take from the node that ends last for the idle node that would end them soonest."""
    stopped = _from_the_stopped(snapshot)
    idle = [node for node in snapshot.nodes if node.accepting and node.in_flight < node.slots]
    if stopped or not idle:
        return stopped
    thief = min(idle, key=lambda node: ((node.in_flight + 1) / node.examples_per_s, node.node_id))
    victims = [
        (_surplus(victim, thief), victim) for victim in snapshot.nodes if victim is not thief and victim.unstarted > 0
    ]
    surplus, victim = max(
        victims, key=lambda pair: (pair[1].in_flight / pair[1].examples_per_s, pair[1].node_id), default=(0, thief)
    )
    return (Revoke(node_id=victim.node_id, count=surplus),) if surplus > 0 else ()


def _surplus(victim: NodeLoad, thief: NodeLoad) -> int:
    """Units to move so that both end together, rounded down, at most what is unstarted and fits the thief."""
    fast, slow = thief.examples_per_s, victim.examples_per_s
    balanced = floor((victim.in_flight * fast - thief.in_flight * slow) / (fast + slow))
    return max(0, min(victim.unstarted, balanced, thief.slots - thief.in_flight))


def _from_the_stopped(snapshot: Snapshot) -> tuple[Revoke, ...]:
    """Everything unstarted on nodes that no longer accept work, where another node does."""
    if not any(node.accepting and node.slots > 0 for node in snapshot.nodes):
        return ()
    return tuple(
        Revoke(node_id=node.node_id, count=node.unstarted)
        for node in sorted(snapshot.nodes, key=lambda node: node.node_id)
        if not node.accepting and node.unstarted > 0
    )


def _why(snapshot: Snapshot) -> str:
    in_flight = sum(node.in_flight for node in snapshot.nodes)
    if not snapshot.nodes:
        return "no node is connected"
    if not any(node.accepting for node in snapshot.nodes):
        return "no connected node accepts work"
    if not snapshot.pending:
        return f"nothing is pending and {in_flight} units are in flight"
    return f"{snapshot.pending} units are pending and every node that would end them soonest is full"
