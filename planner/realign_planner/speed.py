"""Speed: examples a second of a model on a node, measured where it was, predicted where it was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Final

from realign_planner.fit import GroupFit
from realign_planner.models import ModelFacts
from realign_planner.nodes import ClusterFacts, NodeFacts, SpeedMeasurement
from realign_planner.plan import Backend, Basis, StepCost

# Floating point operations of one example for each parameter, from the seed table's M4 Max: 12,956 GFLOPS and 3.86
# examples/s at 7B (2026-01-28). At two operations a parameter and token that is 240 tokens an example.
OPERATIONS_PER_PARAMETER: Final = 12_956 / 3.86 / 7
TOKENS_PER_EXAMPLE: Final = OPERATIONS_PER_PARAMETER / 2
# GFLOPS that one byte a second of bandwidth stands for where only bandwidth is known: M4 Max, 12,956 GFLOPS, 546 GB/s.
GFLOPS_PER_BANDWIDTH: Final = 12_956 / 546e9
UNMEASURED_SERVER_PER_S: Final = 1.0  # examples, until the job that asks for it has it measured, before it begins
NOMINAL_GFLOPS: Final = 1_000.0  # a node of which nothing at all is known, in a cluster where nothing is

UNKNOWN_LATENCY_S: Final = (
    300e-6  # TCP between two Macs over Thunderbolt, as users report; 0.1 GB/s is gigabit Ethernet
)
UNKNOWN_BYTES_PER_S: Final = 0.1e9
SYNC_S: Final = 175e-6  # GPU and CPU meeting for one collective with MLX_METAL_FAST_SYNCH unset: 150-200 us reported
COLLECTIVES_PER_LAYER: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Examples a second, and whether this node was measured."""

    examples_per_s: float
    basis: Basis


def node_speed(model: ModelFacts, node: NodeFacts, nodes: Sequence[NodeFacts]) -> Speed:
    """Speed of a model on a node at its duty fraction; `nodes` are the whole cluster, for comparison.

    A measured model or size stands as measured. Between two measured sizes the time of an example is linear in the
    active parameters, outside them the speed goes with 1/parameters. An unmeasured node gets the speed of measured ones
    (of the same chip, else of all), scaled by GFLOPS; without any, its GFLOPS count against the seed table's M4 Max.
    A server's model has the speed that the node measured of it, whatever the node's own duty fraction.
    """
    if model.endpoint:
        known = node.server(model.name)
        return Speed(
            examples_per_s=known.examples_per_s if known else UNMEASURED_SERVER_PER_S,
            basis="measured" if known else "prior",
        )
    if node.measured:
        speed, basis = measured_speed(model, node.measured), "measured"
    else:
        speed, basis = _prior(model, node, nodes), "prior"
    return Speed(examples_per_s=speed * node.duty_fraction, basis=basis)


def measured_speed(model: ModelFacts, measured: Sequence[SpeedMeasurement]) -> float:
    """Speed of a model on a node with these measurements, at least one."""
    for entry in measured:
        if entry.model is not None and entry.model.lower() in {model.name.lower(), (model.repo or model.name).lower()}:
            return entry.examples_per_s
    size = model.active_params_b
    points = sorted({entry.params_b: entry.examples_per_s for entry in measured}.items())
    smallest, largest = points[0], points[-1]
    if size <= smallest[0]:
        return smallest[1] * smallest[0] / size
    if size >= largest[0]:
        return largest[1] * largest[0] / size
    (low, low_speed), (high, high_speed) = next(pair for pair in pairwise(points) if size <= pair[1][0])
    part = (size - low) / (high - low)
    return 1 / ((1 - part) / low_speed + part / high_speed)


def _prior(model: ModelFacts, node: NodeFacts, nodes: Sequence[NodeFacts]) -> float:
    """Speed of a node that was never measured, all of its time."""
    others = [other for other in nodes if other.measured and other.name != node.name]
    own_gflops = _gflops(node)
    twins = [other for other in others if node.chip and other.chip == node.chip]
    if twins:
        ratios = [
            own_gflops / other_gflops if own_gflops and (other_gflops := _gflops(other)) else 1.0 for other in twins
        ]
        speeds = [measured_speed(model, other.measured) for other in twins]
        return sum(ratio * speed for ratio, speed in zip(ratios, speeds, strict=True)) / len(twins)
    if own_gflops is None:
        return _nothing_known(model, nodes)
    rates = [measured_speed(model, other.measured) / gflops for other in others if (gflops := _gflops(other))]
    if rates:
        return own_gflops * sum(rates) / len(rates)
    return own_gflops / (OPERATIONS_PER_PARAMETER * model.active_params_b)


def _nothing_known(model: ModelFacts, nodes: Sequence[NodeFacts]) -> float:
    """As slow as the slowest node that something is known of, so that nobody waits for a guess."""
    known = [replace(other, duty_fraction=1.0) for other in nodes if other.measured or _gflops(other)]
    speeds = [node_speed(model, other, nodes).examples_per_s for other in known]
    return min(speeds, default=NOMINAL_GFLOPS / (OPERATIONS_PER_PARAMETER * model.active_params_b))


def _gflops(node: NodeFacts) -> float | None:
    if node.gflops:
        return node.gflops
    return node.bandwidth * GFLOPS_PER_BANDWIDTH if node.bandwidth else None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpeed:
    """Examples a second of a sharded group, what it rests on, and the cost of a step behind it."""

    examples_per_s: float
    basis: Basis
    cost: StepCost


def group_speed(
    model: ModelFacts,
    group: GroupFit,
    members: Sequence[NodeFacts],
    *,
    backend: Backend,
    batch_size: int,
    cluster: ClusterFacts,
) -> GroupSpeed:
    """Speed of a sharded group: the slowest rank's compute, and the waiting between ranks.

    Tensor parallelism: every rank does an equal part and meets the others twice a layer for each token. Pipeline: one
    batch passes the stages one after the other. A meeting costs the link's latency, MLX's own synchronisation and the
    bytes of the activations, shared by the batch.
    """
    speeds = [node_speed(model, node, cluster.nodes) for node in members]
    latency_s, bytes_per_s, link_basis = worst_link([node.name for node in members], backend, cluster)
    token_bytes = 2 * max(1, model.heads or 64) * 128  # one activation vector in half precision
    steps = TOKENS_PER_EXAMPLE / batch_size  # of an example
    if group.parallelism == "tensor":
        compute_s = max(1 / (len(members) * speed.examples_per_s) for speed in speeds)
    else:
        compute_s = sum(share / speed.examples_per_s for share, speed in zip(group.shares, speeds, strict=True))
    cost = StepCost(
        batch_size=batch_size,
        compute_s=compute_s / steps,
        collectives=COLLECTIVES_PER_LAYER * model.layers if group.parallelism == "tensor" else len(members),
        message_s=latency_s + SYNC_S + batch_size * token_bytes / bytes_per_s,
        latency_s=latency_s,
        bytes_per_s=bytes_per_s,
        link_basis=link_basis,
    )
    return GroupSpeed(
        examples_per_s=1 / (steps * (cost.compute_s + cost.waiting_s)),
        basis="measured" if all(speed.basis == "measured" for speed in speeds) else "prior",
        cost=cost,
    )


def worst_link(members: Sequence[str], backend: Backend, cluster: ClusterFacts) -> tuple[float, float, Basis]:
    """The longest latency in seconds and the fewest bytes a second between any two members, and what they rest on."""
    links = [cluster.link(one, other, backend) for one, other in combinations(members, 2)]
    return (
        max(UNKNOWN_LATENCY_S if link is None else link.latency_s for link in links),
        min(UNKNOWN_BYTES_PER_S if link is None else link.bytes_per_s for link in links),
        "measured" if all(link is not None and link.basis == "measured" for link in links) else "prior",
    )
