"""The schedule: which node gets how many units next, given a snapshot of who holds what.

Nodes are fed as they finish. Speeds only size what a node holds in advance: about half of what is left, in ratio to
speed (weighted factoring: Hummel, Schonberg and Flynn, CACM 1992), never more than its slots and a small prefetch. At
the end units that a slow node has not started move to a node that would end them sooner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

PREFETCH_FRACTION: Final = 0.25  # of a node's slots, held ready beyond them: hides a round trip and a disk commit

# A batch of k units takes k + KNEE_FRACTION * slots times a constant: then 32 together are six times as fast as one
# alone, as reported of one Mac.
KNEE_FRACTION: Final = 0.2


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
    """Seconds until the node has ended all it holds and `more` units; a smaller batch saves less than its part."""
    held = node.in_flight + more
    batch = (min(held, node.slots) + KNEE_FRACTION * node.slots) / (1 + KNEE_FRACTION)
    return max(held, batch) / node.examples_per_s


def _revocations(snapshot: Snapshot) -> tuple[Revoke, ...]:
    """Unstarted units above the fair share of the node that ends last, when one with a free slot would end sooner.

    A node above its share gets nothing assigned, so units do not travel back and forth.
    """
    stopped = _from_the_stopped(snapshot)
    takers = [node for node in snapshot.nodes if node.accepting and node.slots > 0]
    idle = [node for node in takers if node.in_flight < node.slots]
    if stopped or not idle:
        return stopped
    soonest_s = min(_end_s(node, 1) for node in idle)
    total_speed = sum(node.examples_per_s for node in takers)
    remaining = sum(node.in_flight for node in takers)
    for victim in sorted(takers, key=lambda node: (-node.in_flight / node.examples_per_s, node.node_id)):
        fair = ceil(remaining * victim.examples_per_s / total_speed)
        surplus = min(victim.unstarted, victim.in_flight - fair)
        if surplus > 0 and soonest_s < _end_s(victim, 0):
            return (Revoke(node_id=victim.node_id, count=surplus),)
    return ()


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
