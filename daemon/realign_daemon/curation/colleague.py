"""Colleague: a node of the cluster as job planning sees it, this one included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from realign_daemon.engine.api import ModelId
from realign_planner.nodes import ClusterFacts, NodeFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A model whose weights are on a node's disk."""

    name: str
    model: ModelId
    params_b: float
    active_params_b: float
    bits: int
    weight_bytes: int
    templates: str
    is_measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """A node that is alive now."""

    node_id: str
    facts: NodeFacts  # what the planner reads
    holdings: tuple[Holding, ...]
    is_self: bool = False

    def holds(self, model: ModelId) -> bool:
        """True when the weights are on the node's disk."""
        return any(holding.model == model for holding in self.holdings)

    def has_measured(self, model: ModelId) -> bool:
        """True when the node knows its speed with the model."""
        return any(holding.model == model and holding.is_measured for holding in self.holdings)


class Colleagues(Protocol):
    """The living nodes of the cluster."""

    def alive(self) -> tuple[Colleague, ...]:
        """This node and every node heard of lately."""
        ...

    async def measure(self, node_id: str, model: str) -> None:
        """Has a node measure its speed with a model. Raises ConnectionError when it can't be had."""
        ...

    def changes(self) -> AsyncIterator[object]:
        """An item whenever a node has come or gone, from now on."""
        ...


def cluster_facts(colleagues: Sequence[Colleague], *, needs: Sequence[ModelId]) -> ClusterFacts:
    """What the planner may choose from: the nodes that hold every model needed."""
    able = [colleague for colleague in colleagues if all(colleague.holds(model) for model in needs)]
    return ClusterFacts(name="live", nodes=tuple(colleague.facts for colleague in able))
