from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PrepareRank(_message.Message):
    __slots__ = ("group", "nodes", "rank", "backend", "parallelism", "split", "model", "model_sha256", "mlx", "batch_size")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    MLX_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    group: str
    nodes: _containers.RepeatedScalarFieldContainer[str]
    rank: int
    backend: str
    parallelism: str
    split: _containers.RepeatedScalarFieldContainer[int]
    model: str
    model_sha256: str
    mlx: str
    batch_size: int
    def __init__(self, group: _Optional[str] = ..., nodes: _Optional[_Iterable[str]] = ..., rank: _Optional[int] = ..., backend: _Optional[str] = ..., parallelism: _Optional[str] = ..., split: _Optional[_Iterable[int]] = ..., model: _Optional[str] = ..., model_sha256: _Optional[str] = ..., mlx: _Optional[str] = ..., batch_size: _Optional[int] = ...) -> None: ...

class Addresses(_message.Message):
    __slots__ = ("addresses",)
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class DeviceRow(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[Addresses]
    def __init__(self, devices: _Optional[_Iterable[_Union[Addresses, _Mapping]]] = ...) -> None: ...

class StartRank(_message.Message):
    __slots__ = ("hosts", "devices")
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedCompositeFieldContainer[Addresses]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceRow]
    def __init__(self, hosts: _Optional[_Iterable[_Union[Addresses, _Mapping]]] = ..., devices: _Optional[_Iterable[_Union[DeviceRow, _Mapping]]] = ...) -> None: ...

class Gathered(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: bytes
    def __init__(self, parts: _Optional[bytes] = ...) -> None: ...

class HeadLives(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StopRank(_message.Message):
    __slots__ = ("distrusts",)
    DISTRUSTS_FIELD_NUMBER: _ClassVar[int]
    distrusts: bool
    def __init__(self, distrusts: _Optional[bool] = ...) -> None: ...

class GroupCommand(_message.Message):
    __slots__ = ("prepare", "start", "gathered", "lives", "stop")
    PREPARE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    GATHERED_FIELD_NUMBER: _ClassVar[int]
    LIVES_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    prepare: PrepareRank
    start: StartRank
    gathered: Gathered
    lives: HeadLives
    stop: StopRank
    def __init__(self, prepare: _Optional[_Union[PrepareRank, _Mapping]] = ..., start: _Optional[_Union[StartRank, _Mapping]] = ..., gathered: _Optional[_Union[Gathered, _Mapping]] = ..., lives: _Optional[_Union[HeadLives, _Mapping]] = ..., stop: _Optional[_Union[StopRank, _Mapping]] = ...) -> None: ...

class Logprobs(_message.Message):
    __slots__ = ("of_tokens",)
    OF_TOKENS_FIELD_NUMBER: _ClassVar[int]
    of_tokens: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, of_tokens: _Optional[_Iterable[float]] = ...) -> None: ...

class Cable(_message.Message):
    __slots__ = ("device", "domain", "peer_domain")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    PEER_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    device: str
    domain: str
    peer_domain: str
    def __init__(self, device: _Optional[str] = ..., domain: _Optional[str] = ..., peer_domain: _Optional[str] = ...) -> None: ...

class RankPrepared(_message.Message):
    __slots__ = ("address", "reference", "cables")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CABLES_FIELD_NUMBER: _ClassVar[int]
    address: str
    reference: _containers.RepeatedCompositeFieldContainer[Logprobs]
    cables: _containers.RepeatedCompositeFieldContainer[Cable]
    def __init__(self, address: _Optional[str] = ..., reference: _Optional[_Iterable[_Union[Logprobs, _Mapping]]] = ..., cables: _Optional[_Iterable[_Union[Cable, _Mapping]]] = ...) -> None: ...

class RankStarted(_message.Message):
    __slots__ = ("pid",)
    PID_FIELD_NUMBER: _ClassVar[int]
    pid: int
    def __init__(self, pid: _Optional[int] = ...) -> None: ...

class RankFormed(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RankBeat(_message.Message):
    __slots__ = ("steps", "busy")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    steps: int
    busy: bool
    def __init__(self, steps: _Optional[int] = ..., busy: _Optional[bool] = ...) -> None: ...

class RankGather(_message.Message):
    __slots__ = ("part",)
    PART_FIELD_NUMBER: _ClassVar[int]
    part: bytes
    def __init__(self, part: _Optional[bytes] = ...) -> None: ...

class RankHolding(_message.Message):
    __slots__ = ("active_bytes", "weight_bytes")
    ACTIVE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_BYTES_FIELD_NUMBER: _ClassVar[int]
    active_bytes: int
    weight_bytes: int
    def __init__(self, active_bytes: _Optional[int] = ..., weight_bytes: _Optional[int] = ...) -> None: ...

class RankCanary(_message.Message):
    __slots__ = ("request", "found")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    request: int
    found: _containers.RepeatedCompositeFieldContainer[Logprobs]
    def __init__(self, request: _Optional[int] = ..., found: _Optional[_Iterable[_Union[Logprobs, _Mapping]]] = ...) -> None: ...

class NodeWanted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RankEnded(_message.Message):
    __slots__ = ("cause", "refused")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    cause: str
    refused: bool
    def __init__(self, cause: _Optional[str] = ..., refused: _Optional[bool] = ...) -> None: ...

class GroupEvent(_message.Message):
    __slots__ = ("prepared", "started", "formed", "beat", "gather", "holding", "canary", "ended", "wanted")
    PREPARED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FORMED_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    GATHER_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    prepared: RankPrepared
    started: RankStarted
    formed: RankFormed
    beat: RankBeat
    gather: RankGather
    holding: RankHolding
    canary: RankCanary
    ended: RankEnded
    wanted: NodeWanted
    def __init__(self, prepared: _Optional[_Union[RankPrepared, _Mapping]] = ..., started: _Optional[_Union[RankStarted, _Mapping]] = ..., formed: _Optional[_Union[RankFormed, _Mapping]] = ..., beat: _Optional[_Union[RankBeat, _Mapping]] = ..., gather: _Optional[_Union[RankGather, _Mapping]] = ..., holding: _Optional[_Union[RankHolding, _Mapping]] = ..., canary: _Optional[_Union[RankCanary, _Mapping]] = ..., ended: _Optional[_Union[RankEnded, _Mapping]] = ..., wanted: _Optional[_Union[NodeWanted, _Mapping]] = ...) -> None: ...
