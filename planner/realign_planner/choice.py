"""The choice: the placement of one model, what was rejected, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from realign_planner.batching import peak
from realign_planner.fit import fits, gigabytes
from realign_planner.models import ModelFacts
from realign_planner.nodes import ClusterFacts, NodeFacts
from realign_planner.placement import Groups, Placement, batches, groups
from realign_planner.plan import Nearest, PlannedGroup, StrategyName
from realign_planner.setbacks import NO_BARS, Bars
from realign_planner.shares import JOIN_FRACTION, joining
from realign_planner.speed import node_speed

SHARDING_GAIN: Final = 2.0  # a sharded group must promise twice the best other plan, and so only from three nodes
SHARDING_NODES: Final = 3  # two nodes have been measured at 1.2 to 1.8 times one, and slower than one
LOWER_BITS: Final = (8, 6, 4)  # widths offered where a model does not fit; below 4 answers suffer visibly


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A placement that was not chosen; None where it cannot run at all."""

    strategy: StrategyName
    nodes: tuple[str, ...]
    placement: Placement | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where a model runs; placement None and nearest set when it fits nowhere."""

    model: ModelFacts
    placement: Placement | None
    standby: tuple[str, ...]
    reasons: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    nearest: Nearest | None = None


def choose(model: ModelFacts, nodes: Sequence[NodeFacts], cluster: ClusterFacts, bars: Bars = NO_BARS) -> Choice:
    """The placement of a model on these nodes of a cluster; `bars` keep groups that failed from forming again.

    Fit first. Where the model fits, the fastest node takes it and every node with at least a quarter of that speed
    joins; a group shards it only from three nodes and for twice the speed. Where it fits no node, the smallest group
    that holds it shards it, the fastest of that size, ties by name.
    """
    if model.endpoint:
        return _of_askers(model, nodes, cluster)
    holders = [node for node in nodes if fits(model, node)]
    sharded = groups(model, nodes, cluster, bars)
    if holders:
        return _of_holders(model, holders, nodes, sharded, cluster)
    return _of_groups(model, nodes, sharded, cluster, bars)


def _of_holders(
    model: ModelFacts, holders: Sequence[NodeFacts], nodes: Sequence[NodeFacts], sharded: Groups, cluster: ClusterFacts
) -> Choice:
    speeds = {node.name: node_speed(model, node, cluster.nodes).examples_per_s for node in holders}
    joined = joining(speeds)
    chosen = batches(model, [node for node in holders if node.name in joined], cluster)
    reasons = [_held(model, node) for node in nodes]
    best = sharded.next or max(sharded.placements, key=_by_speed, default=None)
    if (
        best is not None
        and len(nodes) >= SHARDING_NODES
        and best.examples_per_s >= SHARDING_GAIN * chosen.examples_per_s
    ):
        gain = best.examples_per_s / chosen.examples_per_s
        reasons.append(
            f"Sharding over {_and(best.names)} is predicted {gain:.1f} times as fast as the best other plan."
        )
        reasons.extend(_layout(best, nodes))
        rejected = (_other(chosen, f"sharding is predicted {gain:.1f} times as fast"),)
        standby = tuple(name for name in speeds if name not in best.names)
        return Choice(model=model, placement=best, standby=standby, reasons=tuple(reasons), rejected=rejected)
    left_out = tuple(name for name in sorted(speeds, key=lambda name: (-speeds[name], name)) if name not in joined)
    reasons.extend(_joined(chosen, left_out, speeds))
    reasons.extend(_layout(chosen, nodes))
    rejected = (*_other_batches(model, holders, chosen, left_out, cluster), *_group_rejected(best, chosen, len(nodes)))
    return Choice(model=model, placement=chosen, standby=left_out, reasons=tuple(reasons), rejected=rejected)


def _of_askers(model: ModelFacts, nodes: Sequence[NodeFacts], cluster: ClusterFacts) -> Choice:
    """A server's model: it needs no memory, and every node that may ask the server does, at its own pace."""
    if not nodes:
        reason = f"No node that takes work gets answers from {model.endpoint}."
        return Choice(model=model, placement=None, standby=(), reasons=(reason,), rejected=())
    chosen = batches(model, nodes, cluster)
    reasons: list[str] = []
    for node in chosen.nodes:
        known = node_speed(model, next(one for one in nodes if one.name == node.name), cluster.nodes)
        speed = f"{known.examples_per_s:.3g} examples/s at concurrency {node.batch_size}"
        said = f"measured {speed}" if known.basis == "measured" else f"taken for {speed} until it is measured"
        reasons.append(f"Engine {model.endpoint}, asked from {node.name}: {said}.")
    return Choice(model=model, placement=chosen, standby=(), reasons=tuple(reasons), rejected=())


def _of_groups(
    model: ModelFacts, nodes: Sequence[NodeFacts], sharded: Groups, cluster: ClusterFacts, bars: Bars
) -> Choice:
    reasons = [_held(model, node) for node in nodes]
    singles = tuple(
        Rejected(strategy="single_machine", nodes=(node.name,), placement=None, because=_short_of(model, node))
        for node in nodes
    )
    chosen = sharded.next or min(
        sharded.placements,
        key=lambda placement: (len(placement.nodes), -placement.examples_per_s, placement.names),
        default=None,
    )
    if chosen is None:
        if sharded.misfit is not None:
            names = tuple(node.name for node in nodes)
            reasons.append(f"No group of nodes can share it: {sharded.misfit.reason}.")
            singles += (Rejected(strategy="sharded", nodes=names, placement=None, because=sharded.misfit.reason),)
        nearest = _nearest(model, nodes, cluster, bars)
        reasons.append(nearest.text)
        return Choice(
            model=model, placement=None, standby=(), reasons=tuple(reasons), rejected=singles, nearest=nearest
        )
    reasons.append(f"It fits no single node, so {_and(chosen.names)} share it, the smallest group that holds it.")
    reasons.extend(_layout(chosen, nodes))
    standby = sorted({name for other in sharded.placements for name in other.names} - set(chosen.names))
    others = tuple(
        _other(other, "a smaller or faster group holds the model")
        for other in sorted(
            sharded.placements, key=lambda other: (len(other.nodes), -other.examples_per_s, other.names)
        )[1:4]
    )
    return Choice(
        model=model, placement=chosen, standby=tuple(standby), reasons=tuple(reasons), rejected=singles + others
    )


def _nearest(model: ModelFacts, nodes: Sequence[NodeFacts], cluster: ClusterFacts, bars: Bars) -> Nearest:
    """The most bits at which the model would fit, else the memory that is missing."""
    for bits in LOWER_BITS:
        if bits >= model.bits or not nodes:
            continue
        smaller = choose_quietly(model.at_bits(bits), nodes, cluster, bars)
        if smaller is not None:
            needed = model.at_bits(bits).needed_bytes()
            where = _and(smaller.names)
            text = (
                f"At {bits} bits it needs {gigabytes(needed)} and would run on {where}: "
                f"name a conversion of it to {bits} bits, or look at its plan with --bits {bits}."
            )
            return Nearest(
                kind="quantisation", bits=bits, bytes=needed, strategy=smaller.strategy, nodes=smaller.names, text=text
            )
    needed = model.needed_bytes()
    largest = max((node.available_bytes for node in nodes), default=0)
    text = f"It would fit a node with {gigabytes(needed)} for models; the largest here has {gigabytes(largest)}."
    lowest = min(LOWER_BITS)
    if lowest < model.bits:
        text += f" At {lowest} bits {gigabytes(model.at_bits(lowest).needed_bytes())} would do."
    return Nearest(kind="memory", bits=model.bits, bytes=needed, strategy=None, nodes=(), text=text)


def choose_quietly(
    model: ModelFacts, nodes: Sequence[NodeFacts], cluster: ClusterFacts, bars: Bars
) -> Placement | None:
    """The placement that `choose` would take, without a search for what else would fit."""
    if any(fits(model, node) for node in nodes):
        return choose(model, nodes, cluster, bars).placement
    return min(
        groups(model, nodes, cluster, bars).placements,
        key=lambda placement: (len(placement.nodes), placement.names),
        default=None,
    )


def _other_batches(
    model: ModelFacts,
    holders: Sequence[NodeFacts],
    chosen: Placement,
    left_out: tuple[str, ...],
    cluster: ClusterFacts,
) -> tuple[Rejected, ...]:
    rejected: list[Rejected] = []
    if left_out:
        everyone = batches(model, holders, cluster)
        because = (
            f"{_and(left_out)} would run below {JOIN_FRACTION:.0%} of the fastest node's speed: little gain, "
            "and the end of every stage would wait for it"
        )
        rejected.append(_other(everyone, because))
    for node in holders:
        single = batches(model, [node], cluster)
        if single.names != chosen.names:
            because = f"{single.examples_per_s:.3g} examples/s against {chosen.examples_per_s:.3g}"
            rejected.append(_other(single, because))
    return tuple(rejected)


def _group_rejected(best: Placement | None, chosen: Placement, node_count: int) -> tuple[Rejected, ...]:
    if best is None:
        return ()
    ratio = best.examples_per_s / chosen.examples_per_s
    if node_count < SHARDING_NODES:
        because = (
            f"the model fits one node, and two nodes never shard such a model (predicted {ratio:.2f} times the speed)"
        )
    else:
        because = f"predicted {ratio:.2f} times the speed, and sharding must promise {SHARDING_GAIN:g} times"
    return (_other(best, because),)


def _other(placement: Placement, because: str) -> Rejected:
    return Rejected(strategy=placement.strategy, nodes=placement.names, placement=placement, because=because)


def _by_speed(placement: Placement) -> tuple[float, int, tuple[str, ...]]:
    return placement.examples_per_s, -len(placement.nodes), placement.names


def _held(model: ModelFacts, node: NodeFacts) -> str:
    if not fits(model, node):
        return f"It does not fit {node.name}: {_short_of(model, node)}."
    return f"It fits {node.name}: needs {gigabytes(model.needed_bytes())}, {gigabytes(node.available_bytes)} is there."


def _short_of(model: ModelFacts, node: NodeFacts) -> str:
    needed, there = gigabytes(model.needed_bytes()), gigabytes(node.available_bytes)
    return f"needs {needed} with the cache of one sequence, {there} is there"


def _joined(chosen: Placement, left_out: tuple[str, ...], speeds: dict[str, float]) -> list[str]:
    fastest = max(speeds, key=lambda name: (speeds[name], name))
    reasons = [
        f"{name} stays out: {speeds[name]:.3g} examples/s is {speeds[name] / speeds[fastest]:.0%} of {fastest}'s "
        f"{speeds[fastest]:.3g}, below {JOIN_FRACTION:.0%}."
        for name in left_out
    ]
    if chosen.strategy == "independent_batches":
        parts = ", ".join(f"{node.name} {node.share:.1%}" for node in chosen.nodes)
        reasons.append(
            f"Each node works on its own examples, in ratio to speed: {parts}; together {chosen.examples_per_s:.3g}/s."
        )
    return reasons


def _layout(chosen: Placement, nodes: Sequence[NodeFacts]) -> list[str]:
    facts = {node.name: node for node in nodes}
    if chosen.group is not None:
        return _group_layout(chosen.group)
    reasons: list[str] = []
    for node in chosen.nodes:
        best = peak(facts[node.name])
        assumed = "" if facts[node.name].peak_batch_size else ", assumed until measured"
        limit = (
            f"its peak{assumed}" if node.batch_size == best else f"all its memory holds (its peak is {best}{assumed})"
        )
        reasons.append(f"{node.name} decodes {node.batch_size} sequences together: {limit}.")
    return reasons


def _group_layout(group: PlannedGroup) -> list[str]:
    cost = group.cost
    link = "an RDMA link joins them" if group.backend == "jaccl" else "no RDMA link that may be used joins all of them"
    if group.parallelism == "tensor":
        parts = ", ".join(f"{node.name} {node.share:.0%} of every layer" for node in group.ranks)
    else:
        parts = ", ".join(
            f"{node.name} layers {node.layers[0]} to {node.layers[1]}" for node in group.ranks if node.layers
        )
    assumed = "measured" if cost.link_basis == "measured" else "assumed, for it was not measured"
    step = (
        f"A token of {cost.batch_size} sequences takes {_milliseconds(cost.compute_s + cost.waiting_s)}: "
        f"{_milliseconds(cost.compute_s)} of compute and {cost.collectives} messages of "
        f"{_milliseconds(cost.message_s)} each, at a latency of {cost.latency_s * 1e6:.0f} us ({assumed})."
    )
    return [
        f"Weights are split as {group.parallelism} parts ({parts}) over {group.backend}: {link}.",
        step,
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
