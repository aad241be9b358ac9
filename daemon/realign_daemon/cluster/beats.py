"""Beat: what a node says of itself once a second."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import BootId, NodeFacts, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDigest:
    """A job as other nodes need to know it: enough to find its home."""

    job_id: str
    state: str
    home: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPeer:
    """A third node and where it can be dialled: knowing one node of a cluster leads to all."""

    node: NodeId
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One beat. `sequence` counts up for as long as `boot` stays the same.

    `leader` is named only by a node that hears that leader itself, or is it: so a second node that does not may take
    its word, and no rumour of a dead leader can keep itself alive between two nodes that repeat it to each other.
    """

    node: NodeId
    boot: BootId
    sequence: int
    term: int  # highest leadership term seen
    leader: NodeId | None
    leader_since_unix_s: float
    facts: NodeFacts
    jobs: tuple[JobDigest, ...] = ()  # homed on the sender
    peers: tuple[KnownPeer, ...] = ()  # that the sender hears
