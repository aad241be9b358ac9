"""NodeFacts: what a machine is, what was measured on it, and how it does now. One beat carries all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from realign_daemon.cluster.protocol import FEATURES, MAX_PROTOCOL
from realign_daemon.engine.api import BatchPoint, EngineStatus, ModelId, ModelShape
from realign_daemon.host.power import Power
from realign_daemon.host.sleep import Sleep

NodeId = NewType("NodeId", str)  # 26 characters of base32, minted once for a data directory
BootId = NewType("BootId", str)  # minted at every start of the daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """A model measured on one node. Speeds are at peak_batch_size, the size with the highest examples_per_s."""

    model: str  # registry name
    model_sha256: ModelId
    params_b: float
    bits: int
    prefill_tps: float
    decode_tps: float
    peak_batch_size: int
    examples_per_s: float
    points: tuple[BatchPoint, ...] = ()
    measured_at: str  # RFC 3339, UTC
    noisy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBenchmark:
    """What was measured on a machine."""

    gflops: Mapping[str, float] = field(default_factory=dict[str, float])  # dtype -> 1e9 operations per second
    bandwidth_gbs: float = 0.0
    models: tuple[MeasuredModel, ...] = ()
    measured_at: str = ""  # RFC 3339, UTC
    version: str = ""  # realign, mlx and OS versions that the figures belong to


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model whose weights a node can load without fetching anything."""

    name: str
    sha256: ModelId
    weight_bytes: int
    params_b: float
    active_params_b: float
    bits: int
    templates: str = "standard"  # prompt template set
    revision: str = ""  # commit of the hub; empty for what did not come from there
    shape: ModelShape | None = None  # None when its configuration does not tell, or the node is too old to
    endpoint: str = ""  # URL of the server that the node asks for it; then it has no weights
    remote: str = ""  # what that server calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLink:
    """The network to another node, as this one measured it."""

    node: NodeId
    latency_s: float  # one way, of a small message
    bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cable:
    """A Thunderbolt cable to another Mac that can do RDMA, as one of its ends sees it."""

    device: str  # this node's, such as "rdma_en5"
    domain: str  # what Thunderbolt calls this end
    peer_domain: str  # and the other one

    def meets(self, other: Cable) -> bool:
        """True when the other is what the other end sees of the same cable."""
        return (self.domain, self.peer_domain) == (other.peer_domain, other.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """One node, as it describes itself. Zero means unknown for counts and bytes of hardware."""

    node_id: NodeId
    name: str
    version: str = ""
    chip: str = ""
    os: str = ""
    memory_bytes: int = 0
    usable_bytes: int = 0  # what a model may use at most
    free_bytes: int = 0  # what a model may take right now
    cpu_cores: int = 0
    gpu_cores: int = 0
    portable: bool = False
    power: Power = field(default_factory=lambda: Power(source="unknown"))
    duty_fraction: float = 1.0
    benchmark: HostBenchmark | None = None  # None until measured
    engine: EngineStatus = field(default_factory=lambda: EngineStatus(state="absent"))
    models: tuple[KnownModel, ...] = ()
    paused: bool = False
    disk_free_bytes: int = 0
    user_active: bool = False  # somebody is logged in
    refusal: str = ""  # why it takes no work now
    pause_left_s: float | None = None  # None when the pause has no end of its own
    last_sleep: Sleep | None = None  # since the daemon started
    protocol: int = MAX_PROTOCOL  # the newest that it speaks; 0 for a node too old to say
    features: frozenset[str] = FEATURES  # that it has
    witness: bool = False  # it votes, and does nothing else
    links: tuple[MeasuredLink, ...] = ()  # to other nodes, as measured a short while ago
    rdma: tuple[Cable, ...] = ()  # cables that it may be planned over
