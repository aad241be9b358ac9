from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GarbageRequest(_message.Message):
    __slots__ = ("keep_s",)
    KEEP_S_FIELD_NUMBER: _ClassVar[int]
    keep_s: float
    def __init__(self, keep_s: _Optional[float] = ...) -> None: ...

class GarbageOfKind(_message.Message):
    __slots__ = ("kind", "count", "bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    count: int
    bytes: int
    def __init__(self, kind: _Optional[str] = ..., count: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class NodeGarbage(_message.Message):
    __slots__ = ("node", "kinds", "remarks")
    NODE_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    node: str
    kinds: _containers.RepeatedCompositeFieldContainer[GarbageOfKind]
    remarks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[GarbageOfKind, _Mapping]]] = ..., remarks: _Optional[_Iterable[str]] = ...) -> None: ...

class Garbage(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeGarbage]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeGarbage, _Mapping]]] = ...) -> None: ...

class ReferencesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class References(_message.Message):
    __slots__ = ("unit_keys",)
    UNIT_KEYS_FIELD_NUMBER: _ClassVar[int]
    unit_keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, unit_keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class DescribeNodeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("settings_json", "rows", "ledger_bytes", "ledger_schema", "sqlite_version", "python_version", "system", "interpreter_json")
    class RowsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LEDGER_BYTES_FIELD_NUMBER: _ClassVar[int]
    LEDGER_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SQLITE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PYTHON_VERSION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    INTERPRETER_JSON_FIELD_NUMBER: _ClassVar[int]
    settings_json: str
    rows: _containers.ScalarMap[str, int]
    ledger_bytes: int
    ledger_schema: int
    sqlite_version: str
    python_version: str
    system: str
    interpreter_json: str
    def __init__(self, settings_json: _Optional[str] = ..., rows: _Optional[_Mapping[str, int]] = ..., ledger_bytes: _Optional[int] = ..., ledger_schema: _Optional[int] = ..., sqlite_version: _Optional[str] = ..., python_version: _Optional[str] = ..., system: _Optional[str] = ..., interpreter_json: _Optional[str] = ...) -> None: ...
