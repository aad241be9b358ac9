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
from realign_planner.plan import (
    Backend,
    Basis,
    Parallelism,
    PlannedGroup,
    PlannedNode,
    StepCost,
    StrategyName,
)
from realign_planner.setbacks import NO_BARS, Bars
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
    templates: str  # prompt template set of the model
    cost: StepCost | None = None  # of a sharded group

    @property
    def group(self) -> PlannedGroup | None:
        """The group that holds the model together; None where each node holds all of it."""
        if self.backend is None or self.parallelism is None or self.cost is None:
            return None
        return PlannedGroup(
            backend=self.backend,
            parallelism=self.parallelism,
            ranks=self.nodes,
            examples_per_s=self.examples_per_s,
            cost=self.cost,
        )

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
        templates=model.templates,
    )


def group(
    model: ModelFacts, members: Sequence[NodeFacts], cluster: ClusterFacts, bars: Bars = NO_BARS
) -> Placement | Misfit:
    """The model split over the members, fastest first, ties by name, as far as nothing bars them."""
    pace = {node.name: node_speed(model, node, cluster.nodes).examples_per_s for node in members}
    ordered = sorted(members, key=lambda node: (-pace[node.name], node.name))
    names = [node.name for node in ordered]
    layout = fit_group(model, ordered)
    if isinstance(layout, Misfit):
        return layout
    if not cluster.may_group:
        return Misfit(reason="some node has a version of realign without groups: update it")
    chosen = backend(names, cluster, bars)
    if chosen is None:
        return Misfit(reason=f"a group of {', '.join(sorted(names))} was lost a short while ago")
    size = group_batch_size(layout, ordered)
    speed = group_speed(model, layout, ordered, backend=chosen, batch_size=size, cluster=cluster)
    return Placement(
        strategy="sharded",
        nodes=_ranks(model, layout, ordered, size),
        backend=chosen,
        parallelism=layout.parallelism,
        examples_per_s=speed.examples_per_s,
        training_examples_per_s=speed.examples_per_s,
        basis=speed.basis,
        templates=model.templates,
        cost=speed.cost,
    )


def _ranks(model: ModelFacts, layout: GroupFit, ordered: Sequence[NodeFacts], size: int) -> tuple[PlannedNode, ...]:
    return tuple(
        PlannedNode(
            name=node.name,
            share=share,
            batch_size=size,
            examples_per_s=None,
            bytes=int(share * model.needed_bytes(size)),
            layers=layers,
        )
        for node, share, layers in zip(ordered, layout.shares, layout.layers, strict=True)
    )


def backend(members: Sequence[str], cluster: ClusterFacts, bars: Bars = NO_BARS) -> Backend | None:
    """JACCL where an RDMA link joins every pair of members (it needs a full mesh), else the TCP ring.

    None where no group may be formed, or these members are barred with whatever they could use.
    """
    if not cluster.may_group:
        return None
    meshed = all(cluster.link(one, other, "jaccl") is not None for one, other in combinations(members, 2))
    able: tuple[Backend, ...] = ("jaccl", "ring") if meshed else ("ring",)
    return next((one for one in able if bars.allows(members, one)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Every sharded placement that works, and why the widest group does not where none does."""

    placements: tuple[Placement, ...]
    misfit: Misfit | None
    next: Placement | None = None  # that comes before all others, see setbacks.Bars


def groups(model: ModelFacts, nodes: Sequence[NodeFacts], cluster: ClusterFacts, bars: Bars = NO_BARS) -> Groups:
    """The sharded placements over two or more of the nodes.

    Looks at every group of at most LARGEST_GROUP among the CONSIDERED_FOR_GROUPS nodes with the most memory.
    """
    considered = sorted(nodes, key=lambda node: (-node.available_bytes, node.name))[:CONSIDERED_FOR_GROUPS]
    found: list[Placement] = []
    misfit: Misfit | None = None
    for count in range(2, min(len(considered), LARGEST_GROUP) + 1):
        for members in combinations(considered, count):
            placement = group(model, members, cluster, bars)
            if isinstance(placement, Placement):
                found.append(placement)
            elif misfit is None or members == tuple(considered[:count]):
                misfit = placement
    following = next((one for one in found if (frozenset(one.names), one.backend) == bars.next), None)
    return Groups(placements=tuple(found), misfit=None if found else misfit, next=following)
