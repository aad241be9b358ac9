"""Neighbours: what the daemon's status says of the other nodes, as far as doctor compares them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from realign_planner.diagnosis.answer import document, inner, objects, word

_MLX = re.compile(r"\bmlx (\d[\w.+]{0,30})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A living node. What a daemon of an older version does not say is None."""

    name: str
    is_self: bool
    macos: str  # "26.3"; "" on another system
    mlx: str  # of the last measurement; "" when there was none
    dials_here: bool | None  # it holds a connection to the daemon that was asked, which it made itself
    is_dialled: bool | None  # the daemon that was asked holds one to it
    cabled: frozenset[str]  # its RDMA devices whose cable leads to a node, as seen from both ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSeen:
    """The cluster as the daemon that was asked sees it."""

    uptime_s: float
    nodes: tuple[Neighbour, ...]  # those that live, witnesses included
    refused: tuple[str, ...]  # why it works with others not


def read_status(text: str | None) -> ClusterSeen | None:
    """What `status --json` says; None when that could not be read."""
    found = document(text)
    if found is None or not isinstance(found.get("node"), dict):
        return None
    uptime, own = found["node"].get("uptime_s"), found["node"].get("id")
    members = [member for member in objects(found.get("members")) if member.get("state") == "alive"]
    ends = frozenset((domain, peer) for member in members for _, domain, peer in _rdma_ports(member))
    return ClusterSeen(
        uptime_s=float(uptime) if isinstance(uptime, (int, float)) and abs(uptime) < 1e12 else 0.0,  # noqa: PLR2004 - a float in any case
        nodes=tuple(_neighbour(member, ends, is_self=member.get("id") == own) for member in members),
        refused=tuple(word(one.get("reason")) for one in objects(found.get("refused"))),
    )


def _neighbour(member: dict[str, Any], ends: frozenset[tuple[str, str]], *, is_self: bool) -> Neighbour:
    facts = inner(member, "facts")
    benchmark = inner(facts, "benchmark")
    system, measured_with = word(facts.get("os")), _MLX.search(word(benchmark.get("version")))
    return Neighbour(
        name=word(member.get("name")),
        is_self=is_self,
        macos=system.removeprefix("macOS ").strip() if system.startswith("macOS ") else "",
        mlx=measured_with[1] if measured_with else "",
        dials_here=_truth(member.get("dials_here")),
        is_dialled=_truth(member.get("is_dialled")),
        cabled=frozenset(device for device, domain, peer in _rdma_ports(member) if (peer, domain) in ends),
    )


def _rdma_ports(member: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of each the device, its own end of the cable and the other one."""
    ports = objects(inner(member, "facts").get("rdma"))
    return [(word(port.get("device")), word(port.get("domain")), word(port.get("peer_domain"))) for port in ports]


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
