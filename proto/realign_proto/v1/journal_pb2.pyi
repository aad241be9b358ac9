from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FollowRequest(_message.Message):
    __slots__ = ("index_id", "after", "boot_id")
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    index_id: str
    after: int
    boot_id: str
    def __init__(self, index_id: _Optional[str] = ..., after: _Optional[int] = ..., boot_id: _Optional[str] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("seq", "kind", "ref", "digest")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    seq: int
    kind: str
    ref: str
    digest: bytes
    def __init__(self, seq: _Optional[int] = ..., kind: _Optional[str] = ..., ref: _Optional[str] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Headers(_message.Message):
    __slots__ = ("index_id", "headers", "reached", "last", "boot_id")
    INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    index_id: str
    headers: _containers.RepeatedCompositeFieldContainer[Header]
    reached: int
    last: int
    boot_id: str
    def __init__(self, index_id: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[Header, _Mapping]]] = ..., reached: _Optional[int] = ..., last: _Optional[int] = ..., boot_id: _Optional[str] = ...) -> None: ...

class Ref(_message.Message):
    __slots__ = ("kind", "ref")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    kind: str
    ref: str
    def __init__(self, kind: _Optional[str] = ..., ref: _Optional[str] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("refs",)
    REFS_FIELD_NUMBER: _ClassVar[int]
    refs: _containers.RepeatedCompositeFieldContainer[Ref]
    def __init__(self, refs: _Optional[_Iterable[_Union[Ref, _Mapping]]] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("kind", "ref", "payload", "more", "crc32")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    kind: str
    ref: str
    payload: bytes
    more: bool
    crc32: int
    def __init__(self, kind: _Optional[str] = ..., ref: _Optional[str] = ..., payload: _Optional[bytes] = ..., more: _Optional[bool] = ..., crc32: _Optional[int] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CompareReply(_message.Message):
    __slots__ = ("digests",)
    class DigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.ScalarMap[str, str]
    def __init__(self, digests: _Optional[_Mapping[str, str]] = ...) -> None: ...
