"""Colleague: a node of the cluster as job planning sees it, this one included."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Protocol

from realign_daemon.cluster.facts import Cable, MeasuredLink
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId, ModelShape
from realign_daemon.engine.models import POCKET
from realign_daemon.errors import NothingFits
from realign_daemon.models.arrival import Arrived
from realign_planner.nodes import ClusterFacts, Link, NodeFacts

# What JACCL reaches over Thunderbolt 5, as users report: 5-50 us, 3.5-3.8 GB/s. Nothing but a group can measure it.
RDMA_LATENCY_S: Final = 20e-6
RDMA_BYTES_PER_S: Final = 3.5e9


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
    revision: str = ""  # commit of the hub; empty for what did not come from there
    shape: ModelShape | None = None
    endpoint: str = ""  # URL of the server that the node asks for it; then it has no weights
    remote: str = ""  # what that server calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """A node that is alive now."""

    node_id: str
    facts: NodeFacts  # what the planner reads
    holdings: tuple[Holding, ...]
    is_self: bool = False
    room_bytes: int = 0  # what models may still take of its disk
    links: tuple[MeasuredLink, ...] = ()  # to other nodes
    rdma: tuple[Cable, ...] = ()  # to other Macs
    knows_groups: bool = True  # a node of an older version does not
    unvouched: str = ""  # model of the group that it leads, when no node alone has found what that should compute

    def holds(self, model: ModelId) -> bool:
        """True when the weights are on the node's disk."""
        return any(holding.model == model for holding in self.holdings)

    def has(self, pin: ModelPin) -> bool:
        """True when the node can load the weights by the name that a job has for them."""
        return any(one.model == pin.model and one.name.lower() == pin.name.lower() for one in self.holdings)

    def could_hold(self, pins: Iterable[ModelPin]) -> bool:
        """True when all weights are on the node's disk or have room there. What realign ships cannot be fetched."""
        missing = {pin.model: pin for pin in pins if not self.holds(pin.model)}.values()
        has_room = sum(pin.weight_bytes for pin in missing) <= self.room_bytes
        return not missing or (has_room and all(pin.name != POCKET for pin in missing))

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

    def fetch(self, node_id: str, pin: ModelPin) -> AsyncGenerator[Arrived]:
        """How it goes while a node fetches a model, until `alive` says that it holds it. Leaving it stops the fetch.

        Raises:
            ConnectionError: the node can't be had.
            RealignError: it could not get the model.
        """
        ...

    def changes(self) -> AsyncIterator[object]:
        """An item whenever a node has come or gone, from now on."""
        ...


def cluster_facts(colleagues: Sequence[Colleague]) -> ClusterFacts:
    """What the planner may choose from: the nodes and what joins them."""
    return ClusterFacts(
        name="live",
        nodes=tuple(colleague.facts for colleague in colleagues),
        may_group=all(colleague.knows_groups for colleague in colleagues),
        links=tuple(link for one, other in combinations(colleagues, 2) for link in _links(one, other)),
    )


def holders(colleagues: Sequence[Colleague], pin: ModelPin, pins: Iterable[ModelPin]) -> tuple[str, ...]:
    """The names of the nodes that may run a model: those that hold it, or have room for all that the job needs.

    Raises:
        NothingFits: there is none.
    """
    needed = tuple(one for one in pins if not one.endpoint)  # what a server has takes no disk, and cannot be fetched
    able = tuple(
        one.facts.name for one in colleagues if one.holds(pin.model) or (not pin.endpoint and one.could_hold(needed))
    )
    if not able and pin.endpoint:
        raise NothingFits(f"no living node gets answers of {pin.name} from {pin.endpoint}; see to that server")
    if not able:
        message = f"no living node has the weights of {pin.name}, or room on its disk for all that the job needs"
        raise NothingFits(message)
    return able


def _links(one: Colleague, other: Colleague) -> Iterator[Link]:
    """The network between two nodes, the worse of what both measured; and an RDMA cable that both have."""
    between = (one.facts.name, other.facts.name)
    measured = [
        link for here, there in ((one, other), (other, one)) for link in here.links if link.node == there.node_id
    ]
    if measured:
        latency_s, bytes_per_s = max(link.latency_s for link in measured), min(link.bytes_per_s for link in measured)
        yield Link(between=between, kind="network", latency_s=latency_s, bytes_per_s=bytes_per_s)
    if any(here.meets(there) for here in one.rdma for there in other.rdma):
        yield Link(
            between=between,
            kind="rdma",
            latency_s=RDMA_LATENCY_S,
            bytes_per_s=RDMA_BYTES_PER_S,
            basis="prior",
        )
