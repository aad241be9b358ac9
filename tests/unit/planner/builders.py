"""Builders of nodes, clusters and plans, for the tests of plans."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from realign_planner.nodes import ClusterFacts, Link, NodeFacts, SpeedMeasurement
from realign_planner.plan import Plan, PlanRequest
from realign_planner.setbacks import NO_BARS, Bars
from realign_planner.strategy import make_plan

GB = 10**9


def node(name: str, usable_gb: float, *measured: tuple[float, float], **facts: Any) -> NodeFacts:
    entries = tuple(SpeedMeasurement(params_b=size, examples_per_s=speed) for size, speed in measured)
    usable = round(usable_gb * GB)
    return NodeFacts(name=name, memory_bytes=usable, usable_bytes=usable, measured=entries, **facts)


def cluster(*nodes: NodeFacts, links: tuple[Link, ...] = ()) -> ClusterFacts:
    return ClusterFacts(name="c", nodes=nodes, links=links)


def rdma(one: str, other: str) -> Link:
    return Link(between=(one, other), kind="thunderbolt5-rdma", latency_s=15e-6, bytes_per_s=6e9)


def plan(
    text: str,
    facts: ClusterFacts,
    *,
    holders: Mapping[str, Collection[str]] | None = None,
    bars: Bars = NO_BARS,
    **request: Any,
) -> Plan:
    found = make_plan(PlanRequest(text=text, **request), facts, holders=holders or {}, bars=bars)
    assert isinstance(found, Plan)
    return found


def names(found: Plan) -> list[str]:
    return [planned.name for planned in found.nodes]
