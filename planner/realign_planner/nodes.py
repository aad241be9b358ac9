"""Facts of a cluster: its nodes, what was measured on them, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedMeasurement:
    """Examples a second of one model at its best batch size, the engine working all the time."""

    params_b: float  # parameters read for one token (the active ones of a mixture of experts), 1e9
    examples_per_s: float
    model: str | None = None  # None: any model of this size


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOnDisk:
    """A model that a node can load without fetching anything."""

    name: str
    repo: str | None = None
    bits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """One machine as the planner sees it. None means unknown, never zero."""

    name: str
    chip: str = ""
    memory_bytes: int
    usable_bytes: int  # what a model may use at most
    free_bytes: int | None = None  # what a model may use right now; None: assume usable_bytes
    gpu_cores: int | None = None
    gflops: float | None = None  # 1e9 floating point operations a second
    bandwidth: float | None = None  # bytes a second read by a matrix-vector product
    peak_batch_size: int | None = None
    measured: tuple[SpeedMeasurement, ...] = ()
    duty_fraction: float = 1.0  # share of the time that the engine may work, 0..1
    portable: bool = False
    paused: bool = False
    on_disk: tuple[ModelOnDisk, ...] | None = None  # None: unknown, as in a cluster file

    @property
    def available_bytes(self) -> int:
        """Memory that a model can have now: the usable part, less where less is free."""
        return self.usable_bytes if self.free_bytes is None else min(self.usable_bytes, self.free_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A connection between two nodes, the same in both directions."""

    between: tuple[str, str]
    kind: str  # free text; one that contains "rdma" carries JACCL
    latency_s: float
    bytes_per_s: float

    def joins(self, one: str, other: str) -> bool:
        """Whether this link connects these two nodes."""
        return self.between in ((one, other), (other, one))

    @property
    def is_rdma(self) -> bool:
        """Whether the link carries remote direct memory access."""
        return "rdma" in self.kind.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """Every machine of a cluster; names are unique."""

    name: str
    nodes: tuple[NodeFacts, ...]
    links: tuple[Link, ...] = ()

    def link(self, one: str, other: str) -> Link | None:
        """The link with the lowest latency between two nodes, or None where none is described."""
        joining = [link for link in self.links if link.joins(one, other)]
        return min(joining, key=lambda link: (link.latency_s, -link.bytes_per_s, link.kind), default=None)
