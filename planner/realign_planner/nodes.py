"""Facts of a cluster: its nodes, what was measured on them, and the links between them."""

from __future__ import annotations

from dataclasses import dataclass

from realign_planner.plan import Backend, Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedMeasurement:
    """Examples a second of one model at its best batch size, the engine working all the time."""

    params_b: float  # parameters read for one token (the active ones of a mixture of experts), 1e9
    examples_per_s: float
    model: str | None = None  # None: any model of this size


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMeasurement:
    """Examples a second of a model that a node asks a server for, at the best number of requests in flight."""

    model: str
    examples_per_s: float
    concurrency: int


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
    servers: tuple[ServerMeasurement, ...] = ()
    duty_fraction: float = 1.0  # share of the time that the engine may work, 0..1
    portable: bool = False
    paused: bool = False
    on_disk: tuple[ModelOnDisk, ...] | None = None  # None: unknown, as in a cluster file

    def server(self, model: str) -> ServerMeasurement | None:
        """What was measured of a model that the node asks a server for; None where nobody did."""
        return next((one for one in self.servers if one.model.lower() == model.lower()), None)

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
    basis: Basis = "measured"  # the figures; those of a cluster file count as measured

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
    may_group: bool = True  # all nodes are of a version that can hold a model together

    def link(self, one: str, other: str, backend: Backend) -> Link | None:
        """The link with the lowest latency that a backend can use between two nodes, or None where none is known."""
        joining = [link for link in self.links if link.joins(one, other) and link.is_rdma == (backend == "jaccl")]
        return min(joining, key=lambda link: (link.latency_s, -link.bytes_per_s, link.kind), default=None)
