"""Announcement: what a node says of itself on the network, before anybody knows whether to believe it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from realign_daemon.cluster.facts import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What this node says of itself. Unless beyond_loopback it is said, and listened for, on loopback only."""

    node: NodeId
    name: str
    marks: tuple[str, ...]  # what nodes of one cluster have one of in common: the hash of its tag, or authorities
    beyond_loopback: bool = False
    join_port: int | None = None  # where those who have an invitation ask, while there is one


def tag_mark(tag: str) -> str:
    """What is announced of a cluster's tag."""
    return mark(hashlib.sha256(tag.encode()).digest())


def mark(digest: bytes) -> str:
    """What is announced of a tag's or an authority's SHA-256: the first 8 bytes, hex."""
    return digest[:8].hex()
