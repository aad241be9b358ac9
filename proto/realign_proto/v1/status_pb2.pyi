from realign_proto.v1 import facts_pb2 as _facts_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NodeIdentity(_message.Message):
    __slots__ = ("id", "name", "version", "protocol", "chip", "memory_bytes", "uptime_s", "roles", "data_dir", "addresses", "features")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CHIP_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    DATA_DIR_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    version: str
    protocol: int
    chip: str
    memory_bytes: int
    uptime_s: float
    roles: _containers.RepeatedScalarFieldContainer[str]
    data_dir: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., protocol: _Optional[int] = ..., chip: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., uptime_s: _Optional[float] = ..., roles: _Optional[_Iterable[str]] = ..., data_dir: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., features: _Optional[_Iterable[str]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("address", "reason")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    address: str
    reason: str
    def __init__(self, address: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Leader(_message.Message):
    __slots__ = ("id", "name", "term", "since_unix_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    term: int
    since_unix_s: float
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., term: _Optional[int] = ..., since_unix_s: _Optional[float] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("id", "name", "state", "last_seen_s", "addresses", "version", "facts", "dials_here", "is_dialled")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_S_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    DIALS_HERE_FIELD_NUMBER: _ClassVar[int]
    IS_DIALLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: str
    last_seen_s: float
    addresses: _containers.RepeatedScalarFieldContainer[str]
    version: str
    facts: _facts_pb2.NodeFacts
    dials_here: bool
    is_dialled: bool
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., last_seen_s: _Optional[float] = ..., addresses: _Optional[_Iterable[str]] = ..., version: _Optional[str] = ..., facts: _Optional[_Union[_facts_pb2.NodeFacts, _Mapping]] = ..., dials_here: _Optional[bool] = ..., is_dialled: _Optional[bool] = ...) -> None: ...

class JobProgress(_message.Message):
    __slots__ = ("id", "state", "stage", "stages_total", "units_done", "units_total", "examples_per_s", "eta_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    STAGES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNITS_DONE_FIELD_NUMBER: _ClassVar[int]
    UNITS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_S_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: str
    stage: str
    stages_total: int
    units_done: int
    units_total: int
    examples_per_s: float
    eta_s: float
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., stage: _Optional[str] = ..., stages_total: _Optional[int] = ..., units_done: _Optional[int] = ..., units_total: _Optional[int] = ..., examples_per_s: _Optional[float] = ..., eta_s: _Optional[float] = ...) -> None: ...

class LedgerState(_message.Message):
    __slots__ = ("rows", "under_replicated", "lacks_room")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    UNDER_REPLICATED_FIELD_NUMBER: _ClassVar[int]
    LACKS_ROOM_FIELD_NUMBER: _ClassVar[int]
    rows: int
    under_replicated: int
    lacks_room: bool
    def __init__(self, rows: _Optional[int] = ..., under_replicated: _Optional[int] = ..., lacks_room: _Optional[bool] = ...) -> None: ...

class Disk(_message.Message):
    __slots__ = ("free_bytes",)
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    free_bytes: int
    def __init__(self, free_bytes: _Optional[int] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("node", "leader", "members", "benchmark", "engine", "jobs", "ledger", "disk", "power", "refused")
    NODE_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    BENCHMARK_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    node: NodeIdentity
    leader: Leader
    members: _containers.RepeatedCompositeFieldContainer[Member]
    benchmark: _facts_pb2.HostBenchmark
    engine: _facts_pb2.EngineState
    jobs: _containers.RepeatedCompositeFieldContainer[JobProgress]
    ledger: LedgerState
    disk: Disk
    power: _facts_pb2.Power
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    def __init__(self, node: _Optional[_Union[NodeIdentity, _Mapping]] = ..., leader: _Optional[_Union[Leader, _Mapping]] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., benchmark: _Optional[_Union[_facts_pb2.HostBenchmark, _Mapping]] = ..., engine: _Optional[_Union[_facts_pb2.EngineState, _Mapping]] = ..., jobs: _Optional[_Iterable[_Union[JobProgress, _Mapping]]] = ..., ledger: _Optional[_Union[LedgerState, _Mapping]] = ..., disk: _Optional[_Union[Disk, _Mapping]] = ..., power: _Optional[_Union[_facts_pb2.Power, _Mapping]] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ...) -> None: ...

class BenchRequest(_message.Message):
    __slots__ = ("model", "force")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    force: bool
    def __init__(self, model: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class BenchEvent(_message.Message):
    __slots__ = ("text", "facts")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    text: str
    facts: _facts_pb2.NodeFacts
    def __init__(self, text: _Optional[str] = ..., facts: _Optional[_Union[_facts_pb2.NodeFacts, _Mapping]] = ...) -> None: ...
