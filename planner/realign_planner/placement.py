"""A placement: one way to run a model on a cluster, with its speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from realign_planner.batching import batch_size, group_batch_size
from realign_planner.fit import GroupFit, Misfit, fit_group
from realign_planner.models import ModelFacts
from realign_planner.nodes import ClusterFacts, NodeFacts
from realign_planner.plan import Backend, Basis, Parallelism, PlannedNode, StrategyName
from realign_planner.shares import split
from realign_planner.speed import group_speed, node_speed

LARGEST_GROUP: Final = 8  # ranks: what a JACCL mesh carries
CONSIDERED_FOR_GROUPS: Final = 10  # nodes with the most memory; every group among them is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A model on nodes. Speeds in examples a second; a training run uses one node, the fastest, or the whole group."""

    strategy: StrategyName
    nodes: tuple[PlannedNode, ...]
    backend: Backend | None
    parallelism: Parallelism | None
    examples_per_s: float
    training_examples_per_s: float
    basis: Basis

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes, in the placement's order."""
        return tuple(node.name for node in self.nodes)


def batches(model: ModelFacts, members: Sequence[NodeFacts], cluster: ClusterFacts) -> Placement:
    """The model whole on each member, every one at its own pace: largest share first, ties by name."""
    speeds = {node.name: node_speed(model, node, cluster.nodes) for node in members}
    shares = split({name: speed.examples_per_s for name, speed in speeds.items()})
    planned: list[PlannedNode] = []
    for node in sorted(members, key=lambda node: (-shares[node.name], node.name)):
        size = batch_size(model, node)
        planned.append(
            PlannedNode(
                name=node.name,
                share=shares[node.name],
                batch_size=size,
                examples_per_s=speeds[node.name].examples_per_s,
                bytes=model.needed_bytes(size),
            )
        )
    return Placement(
        strategy="single_machine" if len(planned) == 1 else "independent_batches",
        nodes=tuple(planned),
        backend=None,
        parallelism=None,
        examples_per_s=sum(speed.examples_per_s for speed in speeds.values()),
        training_examples_per_s=max(speed.examples_per_s for speed in speeds.values()),
        basis="measured" if all(speed.basis == "measured" for speed in speeds.values()) else "prior",
    )


def group(model: ModelFacts, members: Sequence[NodeFacts], cluster: ClusterFacts) -> Placement | Misfit:
    """The model split over the members, fastest first, ties by name."""
    pace = {node.name: node_speed(model, node, cluster.nodes).examples_per_s for node in members}
    ordered = sorted(members, key=lambda node: (-pace[node.name], node.name))
    layout = fit_group(model, ordered)
    if isinstance(layout, Misfit):
        return layout
    size = group_batch_size(layout, ordered)
    speed = group_speed(model, layout, ordered, batch_size=size, cluster=cluster)
    return Placement(
        strategy="sharded",
        nodes=_ranks(model, layout, ordered, size),
        backend=backend(ordered, cluster),
        parallelism=layout.parallelism,
        examples_per_s=speed.examples_per_s,
        training_examples_per_s=speed.examples_per_s,
        basis=speed.basis,
    )


def _ranks(model: ModelFacts, layout: GroupFit, ordered: Sequence[NodeFacts], size: int) -> tuple[PlannedNode, ...]:
    return tuple(
        PlannedNode(
            name=node.name,
            share=share,
            batch_size=size,
            examples_per_s=None,
            bytes=int(share * model.needed_bytes(size)),
        )
        for node, share in zip(ordered, layout.shares, strict=True)
    )


def backend(members: Sequence[NodeFacts], cluster: ClusterFacts) -> Backend:
    """JACCL where an RDMA link joins every pair of members (it needs a full mesh), else the TCP ring."""
    pairs = combinations((node.name for node in members), 2)
    meshed = all(any(link.joins(one, other) and link.is_rdma for link in cluster.links) for one, other in pairs)
    return "jaccl" if meshed else "ring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Every sharded placement that works, and why the widest group does not where none does."""

    placements: tuple[Placement, ...]
    misfit: Misfit | None


def groups(model: ModelFacts, nodes: Sequence[NodeFacts], cluster: ClusterFacts) -> Groups:
    """The sharded placements over two or more of the nodes.

    Looks at every group of at most LARGEST_GROUP among the CONSIDERED_FOR_GROUPS nodes with the most memory.
    """
    considered = sorted(nodes, key=lambda node: (-node.available_bytes, node.name))[:CONSIDERED_FOR_GROUPS]
    found: list[Placement] = []
    misfit: Misfit | None = None
    for count in range(2, min(len(considered), LARGEST_GROUP) + 1):
        for members in combinations(considered, count):
            placement = group(model, members, cluster)
            if isinstance(placement, Placement):
                found.append(placement)
            elif misfit is None or members == tuple(considered[:count]):
                misfit = placement
    return Groups(placements=tuple(found), misfit=None if found else misfit)
