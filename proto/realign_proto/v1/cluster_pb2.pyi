from realign_proto.v1 import facts_pb2 as _facts_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EchoRequest(_message.Message):
    __slots__ = ("reply_bytes",)
    REPLY_BYTES_FIELD_NUMBER: _ClassVar[int]
    reply_bytes: int
    def __init__(self, reply_bytes: _Optional[int] = ...) -> None: ...

class EchoReply(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    def __init__(self, payload: _Optional[bytes] = ...) -> None: ...

class HelloRequest(_message.Message):
    __slots__ = ("min_protocol", "max_protocol", "features", "cluster_tag", "node_id", "name", "version", "addresses")
    MIN_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    MAX_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_TAG_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    min_protocol: int
    max_protocol: int
    features: _containers.RepeatedScalarFieldContainer[str]
    cluster_tag: str
    node_id: str
    name: str
    version: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, min_protocol: _Optional[int] = ..., max_protocol: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., cluster_tag: _Optional[str] = ..., node_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class HelloReply(_message.Message):
    __slots__ = ("protocol", "features", "node_id", "name", "version", "addresses", "min_protocol", "max_protocol")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    MIN_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    MAX_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    features: _containers.RepeatedScalarFieldContainer[str]
    node_id: str
    name: str
    version: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    min_protocol: int
    max_protocol: int
    def __init__(self, protocol: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., node_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., min_protocol: _Optional[int] = ..., max_protocol: _Optional[int] = ...) -> None: ...

class JobDigest(_message.Message):
    __slots__ = ("job_id", "state", "home")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    state: str
    home: str
    def __init__(self, job_id: _Optional[str] = ..., state: _Optional[str] = ..., home: _Optional[str] = ...) -> None: ...

class KnownPeer(_message.Message):
    __slots__ = ("node_id", "addresses")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("node_id", "sequence", "boot_id", "term", "leader", "leader_since_unix_s", "facts", "jobs", "peers")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    LEADER_SINCE_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    sequence: int
    boot_id: str
    term: int
    leader: str
    leader_since_unix_s: float
    facts: _facts_pb2.NodeFacts
    jobs: _containers.RepeatedCompositeFieldContainer[JobDigest]
    peers: _containers.RepeatedCompositeFieldContainer[KnownPeer]
    def __init__(self, node_id: _Optional[str] = ..., sequence: _Optional[int] = ..., boot_id: _Optional[str] = ..., term: _Optional[int] = ..., leader: _Optional[str] = ..., leader_since_unix_s: _Optional[float] = ..., facts: _Optional[_Union[_facts_pb2.NodeFacts, _Mapping]] = ..., jobs: _Optional[_Iterable[_Union[JobDigest, _Mapping]]] = ..., peers: _Optional[_Iterable[_Union[KnownPeer, _Mapping]]] = ...) -> None: ...

class MeasureRequest(_message.Message):
    __slots__ = ("model", "force")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    force: bool
    def __init__(self, model: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...
