"""The plan: what runs where, how long it should take, and why; the request that it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_planner.data_types import DataType

Role = Literal["target", "generator", "judge"]
StrategyName = Literal["single_machine", "independent_batches", "sharded"]
Backend = Literal["jaccl", "ring"]
Parallelism = Literal["tensor", "pipeline"]
Basis = Literal["measured", "prior"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a user asked for. None means: read it from the text, or take the default."""

    text: str
    data_type: DataType | None = None
    model: str | None = None  # all roles
    target: str | None = None
    generator: str | None = None
    judge: str | None = None
    judges: tuple[str, ...] = ()  # beside that one, each asked the same
    bits: int | None = None
    count: int | None = None  # rows wanted
    passages: int | None = None  # that the sources hold; None: nobody knows yet
    samples: int | None = None  # of a question or a problem, where the workflow takes several
    nodes: tuple[str, ...] = ()  # empty: all
    exclude_nodes: tuple[str, ...] = ()
    until: str | None = None  # last stage to run
    has_rows: bool = False  # it begins with rows that are there already: the stages that would make them are skipped
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRequest:
    """A request that no cluster could answer as it stands; the message says what to change."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNode:
    """A node's part. In a sharded group `share` is its part of the weights, else of the examples; shares sum to 1."""

    name: str
    share: float
    batch_size: int
    examples_per_s: float | None  # on its own; None in a sharded group, where only the whole has a speed
    bytes: int  # weights and KV cache that it is promised to hold
    layers: tuple[int, int] | None = None  # of a rank: the first and the last, from 1; None outside a group


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """What a sharded group is assumed to need for one step: one token of every sequence of its batch."""

    batch_size: int
    compute_s: float  # tensor: of the slowest rank; pipeline: of all stages, one after the other
    collectives: int
    message_s: float  # one of them: latency, synchronisation and transfer
    latency_s: float  # of the slowest link
    bytes_per_s: float  # likewise
    link_basis: Basis  # prior where a link was not measured

    @property
    def waiting_s(self) -> float:
        """What the ranks wait for each other."""
        return self.collectives * self.message_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """A model that nodes hold together. `ranks` in their order, the head first."""

    backend: Backend
    parallelism: Parallelism
    ranks: tuple[PlannedNode, ...]
    examples_per_s: float
    cost: StepCost

    @property
    def split(self) -> tuple[int, ...]:
        """Layers of each rank of a pipeline, the last layers those of the first rank; empty for other groups."""
        if self.parallelism != "pipeline":
            return ()
        return tuple(rank.layers[1] - rank.layers[0] + 1 for rank in self.ranks if rank.layers is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTraining:
    """How the target is trained, told by the longest training: alone on the fastest node, or by a group of nodes.

    Every member of a group holds the whole model, takes its part of each batch and averages gradients with the others.
    """

    stage: str
    nodes: tuple[str, ...]  # that train, the head first; one alone
    backend: Backend | None
    examples_per_s: float
    alone_s: float
    group_s: float | None  # of the best group, chosen or not; None without any
    gradient_bytes: int  # that a step averages
    because: str

    @property
    def gain(self) -> float | None:
        """How many times as fast the best group is predicted."""
        return None if self.group_s is None else self.alone_s / self.group_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedModel:
    """A model in a role, resolved as far as the name allows, and the nodes that would hold it."""

    role: Role
    name: str
    repo: str | None  # None: the name does not say which weights; a hub id or a folder does
    revision: str | None  # pinned by the daemon at submit
    bits: int
    bytes: int  # of the weights
    strategy: StrategyName | None  # None: it fits nowhere
    nodes: tuple[PlannedNode, ...]
    group: PlannedGroup | None  # of a sharded model
    endpoint: str = ""  # URL of the server that the nodes ask; empty where they hold the model

    @property
    def on_nodes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(node.name for node in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEstimate:
    """The work of one stage and the time it should take, as a range of seconds around `expected_s`."""

    stage: str
    units: int  # generations, judgements, scorings and training rows, each counted
    tokens: int
    expected_s: float
    low_s: float
    high_s: float
    trainings: int = 0  # how many, one after the other
    training_units: int = 0  # of the units, their rows
    training_s: float = 0.0  # of expected_s, what those take
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Speed of the whole placement and the time of the whole job."""

    examples_per_s: float
    makespan_s: float
    stages: tuple[StageEstimate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A plan that was not chosen, and why. `examples_per_s` is None where it could not run at all."""

    strategy: StrategyName
    nodes: tuple[str, ...]
    examples_per_s: float | None
    makespan_s: float | None
    rejected_because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The smallest change that would make a model fit: fewer bits on these nodes, or more memory."""

    kind: Literal["quantisation", "memory"]
    bits: int
    bytes: int  # needed at those bits
    strategy: StrategyName | None  # for quantisation
    nodes: tuple[str, ...]  # for quantisation
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An answer to a request on a cluster. `fits` is False, `strategy` None and `nodes` empty when nothing fits."""

    data_type: DataType
    skill: str
    confidence: float  # 0..1, in the data type
    alternatives_type: tuple[tuple[DataType, float], ...]
    ambiguous: bool  # the confidence is below the bound: ask, where somebody can be asked
    model_name: str
    params_b: float
    active_params_b: float
    bits: int
    model_bytes: int  # weights of the target
    models: tuple[PlannedModel, ...]  # one a role
    judges: tuple[PlannedModel, ...]  # beside the one in the role
    strategy: StrategyName | None
    nodes: tuple[PlannedNode, ...]  # independent batches: largest share first; sharded: fastest first
    standby: tuple[str, ...]
    backend: Backend | None
    parallelism: Parallelism | None  # of a sharded plan
    training: PlannedTraining | None  # None where nothing is trained, or the target fits no node whole
    cannot_train: str  # why not, where the job trains it; one sentence
    count: int
    predicted: Prediction | None
    reasons: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    warnings: tuple[str, ...]
    needs_bytes: int | None = None  # when nothing fits: weights and one sequence of KV cache
    nearest: Nearest | None = None

    @property
    def fits(self) -> bool:
        """Whether the job can run on this cluster."""
        return self.strategy is not None
