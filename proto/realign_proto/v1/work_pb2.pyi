from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Unit(_message.Message):
    __slots__ = ("key", "payload", "blobs", "cost")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    key: str
    payload: bytes
    blobs: _containers.RepeatedScalarFieldContainer[str]
    cost: float
    def __init__(self, key: _Optional[str] = ..., payload: _Optional[bytes] = ..., blobs: _Optional[_Iterable[str]] = ..., cost: _Optional[float] = ...) -> None: ...

class Assign(_message.Message):
    __slots__ = ("units", "home", "model", "group", "batch_size")
    UNITS_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    units: _containers.RepeatedCompositeFieldContainer[Unit]
    home: str
    model: str
    group: GroupWish
    batch_size: int
    def __init__(self, units: _Optional[_Iterable[_Union[Unit, _Mapping]]] = ..., home: _Optional[str] = ..., model: _Optional[str] = ..., group: _Optional[_Union[GroupWish, _Mapping]] = ..., batch_size: _Optional[int] = ...) -> None: ...

class GroupWish(_message.Message):
    __slots__ = ("nodes", "backend", "parallelism", "split")
    NODES_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    backend: str
    parallelism: str
    split: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, nodes: _Optional[_Iterable[str]] = ..., backend: _Optional[str] = ..., parallelism: _Optional[str] = ..., split: _Optional[_Iterable[int]] = ...) -> None: ...

class Revoke(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class Abandon(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkCommand(_message.Message):
    __slots__ = ("assign", "revoke", "abandon")
    ASSIGN_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    ABANDON_FIELD_NUMBER: _ClassVar[int]
    assign: Assign
    revoke: Revoke
    abandon: Abandon
    def __init__(self, assign: _Optional[_Union[Assign, _Mapping]] = ..., revoke: _Optional[_Union[Revoke, _Mapping]] = ..., abandon: _Optional[_Union[Abandon, _Mapping]] = ...) -> None: ...

class UnitResult(_message.Message):
    __slots__ = ("key", "result", "started_unix_s", "busy_s", "tokens", "remembered", "blobs", "kind", "node")
    KEY_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    BUSY_S_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    REMEMBERED_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    key: str
    result: bytes
    started_unix_s: float
    busy_s: float
    tokens: int
    remembered: bool
    blobs: _containers.RepeatedScalarFieldContainer[str]
    kind: str
    node: str
    def __init__(self, key: _Optional[str] = ..., result: _Optional[bytes] = ..., started_unix_s: _Optional[float] = ..., busy_s: _Optional[float] = ..., tokens: _Optional[int] = ..., remembered: _Optional[bool] = ..., blobs: _Optional[_Iterable[str]] = ..., kind: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class UnitFailure(_message.Message):
    __slots__ = ("key", "kind", "message")
    KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    key: str
    kind: str
    message: str
    def __init__(self, key: _Optional[str] = ..., kind: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Returned(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class UnitProgress(_message.Message):
    __slots__ = ("key", "done", "total", "note")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    key: str
    done: int
    total: int
    note: str
    def __init__(self, key: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class Capacity(_message.Message):
    __slots__ = ("slots", "model", "accepting", "reason", "held")
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACCEPTING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    slots: int
    model: str
    accepting: bool
    reason: str
    held: int
    def __init__(self, slots: _Optional[int] = ..., model: _Optional[str] = ..., accepting: _Optional[bool] = ..., reason: _Optional[str] = ..., held: _Optional[int] = ...) -> None: ...

class GroupLost(_message.Message):
    __slots__ = ("keys", "wish", "group", "lost", "cause", "thrown_away", "worked")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    WISH_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    THROWN_AWAY_FIELD_NUMBER: _ClassVar[int]
    WORKED_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    wish: GroupWish
    group: str
    lost: _containers.RepeatedScalarFieldContainer[str]
    cause: str
    thrown_away: int
    worked: bool
    def __init__(self, keys: _Optional[_Iterable[str]] = ..., wish: _Optional[_Union[GroupWish, _Mapping]] = ..., group: _Optional[str] = ..., lost: _Optional[_Iterable[str]] = ..., cause: _Optional[str] = ..., thrown_away: _Optional[int] = ..., worked: _Optional[bool] = ...) -> None: ...

class WorkEvent(_message.Message):
    __slots__ = ("result", "failure", "returned", "progress", "capacity", "group_lost")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    GROUP_LOST_FIELD_NUMBER: _ClassVar[int]
    result: UnitResult
    failure: UnitFailure
    returned: Returned
    progress: UnitProgress
    capacity: Capacity
    group_lost: GroupLost
    def __init__(self, result: _Optional[_Union[UnitResult, _Mapping]] = ..., failure: _Optional[_Union[UnitFailure, _Mapping]] = ..., returned: _Optional[_Union[Returned, _Mapping]] = ..., progress: _Optional[_Union[UnitProgress, _Mapping]] = ..., capacity: _Optional[_Union[Capacity, _Mapping]] = ..., group_lost: _Optional[_Union[GroupLost, _Mapping]] = ...) -> None: ...

class BlobRequest(_message.Message):
    __slots__ = ("sha256", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    offset: int
    def __init__(self, sha256: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class BlobChunk(_message.Message):
    __slots__ = ("data", "size_bytes")
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    size_bytes: int
    def __init__(self, data: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...
