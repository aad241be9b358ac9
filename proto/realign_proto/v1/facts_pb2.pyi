from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchPoint(_message.Message):
    __slots__ = ("batch_size", "decode_tps", "examples_per_s")
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    DECODE_TPS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_S_FIELD_NUMBER: _ClassVar[int]
    batch_size: int
    decode_tps: float
    examples_per_s: float
    def __init__(self, batch_size: _Optional[int] = ..., decode_tps: _Optional[float] = ..., examples_per_s: _Optional[float] = ...) -> None: ...

class ModelBenchmark(_message.Message):
    __slots__ = ("model", "model_sha256", "params_b", "bits", "prefill_tps", "decode_tps", "peak_batch_size", "examples_per_s", "points", "measured_at", "noisy")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    PARAMS_B_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    PREFILL_TPS_FIELD_NUMBER: _ClassVar[int]
    DECODE_TPS_FIELD_NUMBER: _ClassVar[int]
    PEAK_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_S_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    MEASURED_AT_FIELD_NUMBER: _ClassVar[int]
    NOISY_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_sha256: str
    params_b: float
    bits: int
    prefill_tps: float
    decode_tps: float
    peak_batch_size: int
    examples_per_s: float
    points: _containers.RepeatedCompositeFieldContainer[BatchPoint]
    measured_at: str
    noisy: bool
    def __init__(self, model: _Optional[str] = ..., model_sha256: _Optional[str] = ..., params_b: _Optional[float] = ..., bits: _Optional[int] = ..., prefill_tps: _Optional[float] = ..., decode_tps: _Optional[float] = ..., peak_batch_size: _Optional[int] = ..., examples_per_s: _Optional[float] = ..., points: _Optional[_Iterable[_Union[BatchPoint, _Mapping]]] = ..., measured_at: _Optional[str] = ..., noisy: _Optional[bool] = ...) -> None: ...

class HostBenchmark(_message.Message):
    __slots__ = ("gflops", "bandwidth_gbs", "models", "measured_at", "version")
    class GflopsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    GFLOPS_FIELD_NUMBER: _ClassVar[int]
    BANDWIDTH_GBS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MEASURED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    gflops: _containers.ScalarMap[str, float]
    bandwidth_gbs: float
    models: _containers.RepeatedCompositeFieldContainer[ModelBenchmark]
    measured_at: str
    version: str
    def __init__(self, gflops: _Optional[_Mapping[str, float]] = ..., bandwidth_gbs: _Optional[float] = ..., models: _Optional[_Iterable[_Union[ModelBenchmark, _Mapping]]] = ..., measured_at: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class LocalModel(_message.Message):
    __slots__ = ("name", "sha256", "weight_bytes", "params_b", "active_params_b", "bits", "templates", "revision", "shape", "endpoint", "remote")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    PARAMS_B_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_PARAMS_B_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    sha256: str
    weight_bytes: int
    params_b: float
    active_params_b: float
    bits: int
    templates: str
    revision: str
    shape: ModelShape
    endpoint: str
    remote: str
    def __init__(self, name: _Optional[str] = ..., sha256: _Optional[str] = ..., weight_bytes: _Optional[int] = ..., params_b: _Optional[float] = ..., active_params_b: _Optional[float] = ..., bits: _Optional[int] = ..., templates: _Optional[str] = ..., revision: _Optional[str] = ..., shape: _Optional[_Union[ModelShape, _Mapping]] = ..., endpoint: _Optional[str] = ..., remote: _Optional[str] = ...) -> None: ...

class ModelShape(_message.Message):
    __slots__ = ("layers", "heads", "kv_heads", "kv_values", "tensor", "pipeline")
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    KV_HEADS_FIELD_NUMBER: _ClassVar[int]
    KV_VALUES_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    layers: int
    heads: int
    kv_heads: int
    kv_values: int
    tensor: bool
    pipeline: bool
    def __init__(self, layers: _Optional[int] = ..., heads: _Optional[int] = ..., kv_heads: _Optional[int] = ..., kv_values: _Optional[int] = ..., tensor: _Optional[bool] = ..., pipeline: _Optional[bool] = ...) -> None: ...

class Power(_message.Message):
    __slots__ = ("source", "battery_fraction")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FRACTION_FIELD_NUMBER: _ClassVar[int]
    source: str
    battery_fraction: float
    def __init__(self, source: _Optional[str] = ..., battery_fraction: _Optional[float] = ...) -> None: ...

class EngineState(_message.Message):
    __slots__ = ("state", "model", "pid", "rss_bytes", "last_error", "group")
    STATE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    state: str
    model: str
    pid: int
    rss_bytes: int
    last_error: str
    group: GroupPart
    def __init__(self, state: _Optional[str] = ..., model: _Optional[str] = ..., pid: _Optional[int] = ..., rss_bytes: _Optional[int] = ..., last_error: _Optional[str] = ..., group: _Optional[_Union[GroupPart, _Mapping]] = ...) -> None: ...

class GroupPart(_message.Message):
    __slots__ = ("id", "rank", "size", "backend", "parallelism", "nodes", "lacks_reference")
    ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    LACKS_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    rank: int
    size: int
    backend: str
    parallelism: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    lacks_reference: bool
    def __init__(self, id: _Optional[str] = ..., rank: _Optional[int] = ..., size: _Optional[int] = ..., backend: _Optional[str] = ..., parallelism: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., lacks_reference: _Optional[bool] = ...) -> None: ...

class NodeFacts(_message.Message):
    __slots__ = ("node_id", "name", "version", "chip", "os", "memory_bytes", "usable_bytes", "free_bytes", "cpu_cores", "gpu_cores", "portable", "power", "duty_fraction", "benchmark", "engine", "models", "paused", "disk_free_bytes", "user_active", "refusal", "pause_left_s", "last_sleep", "protocol", "features", "witness", "links", "rdma")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHIP_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    USABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    GPU_CORES_FIELD_NUMBER: _ClassVar[int]
    PORTABLE_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    DUTY_FRACTION_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    USER_ACTIVE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    PAUSE_LEFT_S_FIELD_NUMBER: _ClassVar[int]
    LAST_SLEEP_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    WITNESS_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    RDMA_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    name: str
    version: str
    chip: str
    os: str
    memory_bytes: int
    usable_bytes: int
    free_bytes: int
    cpu_cores: int
    gpu_cores: int
    portable: bool
    power: Power
    duty_fraction: float
    benchmark: HostBenchmark
    engine: EngineState
    models: _containers.RepeatedCompositeFieldContainer[LocalModel]
    paused: bool
    disk_free_bytes: int
    user_active: bool
    refusal: str
    pause_left_s: float
    last_sleep: MachineSleep
    protocol: int
    features: _containers.RepeatedScalarFieldContainer[str]
    witness: bool
    links: _containers.RepeatedCompositeFieldContainer[MeasuredLink]
    rdma: _containers.RepeatedCompositeFieldContainer[RdmaPort]
    def __init__(self, node_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., chip: _Optional[str] = ..., os: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., usable_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., cpu_cores: _Optional[int] = ..., gpu_cores: _Optional[int] = ..., portable: _Optional[bool] = ..., power: _Optional[_Union[Power, _Mapping]] = ..., duty_fraction: _Optional[float] = ..., benchmark: _Optional[_Union[HostBenchmark, _Mapping]] = ..., engine: _Optional[_Union[EngineState, _Mapping]] = ..., models: _Optional[_Iterable[_Union[LocalModel, _Mapping]]] = ..., paused: _Optional[bool] = ..., disk_free_bytes: _Optional[int] = ..., user_active: _Optional[bool] = ..., refusal: _Optional[str] = ..., pause_left_s: _Optional[float] = ..., last_sleep: _Optional[_Union[MachineSleep, _Mapping]] = ..., protocol: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., witness: _Optional[bool] = ..., links: _Optional[_Iterable[_Union[MeasuredLink, _Mapping]]] = ..., rdma: _Optional[_Iterable[_Union[RdmaPort, _Mapping]]] = ...) -> None: ...

class MeasuredLink(_message.Message):
    __slots__ = ("node_id", "latency_s", "bytes_per_s")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LATENCY_S_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    latency_s: float
    bytes_per_s: float
    def __init__(self, node_id: _Optional[str] = ..., latency_s: _Optional[float] = ..., bytes_per_s: _Optional[float] = ...) -> None: ...

class RdmaPort(_message.Message):
    __slots__ = ("device", "domain", "peer_domain")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PEER_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    device: str
    domain: str
    peer_domain: str
    def __init__(self, device: _Optional[str] = ..., domain: _Optional[str] = ..., peer_domain: _Optional[str] = ...) -> None: ...

class MachineSleep(_message.Message):
    __slots__ = ("slept_s", "woke_unix_s")
    SLEPT_S_FIELD_NUMBER: _ClassVar[int]
    WOKE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    slept_s: float
    woke_unix_s: float
    def __init__(self, slept_s: _Optional[float] = ..., woke_unix_s: _Optional[float] = ...) -> None: ...
