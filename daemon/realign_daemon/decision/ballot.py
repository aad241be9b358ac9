"""Ballot: the number under which a node asks for votes. Of two ballots the higher one wins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

TAGS = 2**16  # of nodes, in the lower half of a config epoch of 32 bits


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ballot:
    """Ordered by config epoch, then epoch, then node: no two nodes ever ask under the same one.

    The config epoch leads, so that an acceptor that voted after a person adopted a job helps nobody who has not heard
    of that: the voters of the two epochs need not overlap, and only this keeps them apart.
    """

    config_epoch: int = 0
    epoch: int = 0
    node: str = ""


NEVER = Ballot()  # below every ballot that a node asks under


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """The value that an acceptor has voted for, and the ballot in which it did."""

    ballot: Ballot
    value: bytes


def next_config_epoch(known: int, node: str) -> int:
    """A config epoch above the known one, for an adoption by this node.

    Two people may adopt a job at two nodes that do not see each other. The epochs differ, so that one of them stands.
    """
    tag = int.from_bytes(hashlib.sha256(node.encode()).digest()[:2], "big")
    return (known // TAGS + 1) * TAGS + tag
