from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FoundRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class EnrolNodeRequest(_message.Message):
    __slots__ = ("token", "address")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    token: str
    address: str
    def __init__(self, token: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class LeaveRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TrustRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("member", "reason")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    member: str
    reason: str
    def __init__(self, member: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RemoveDeadRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class TransferRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class RotateRequest(_message.Message):
    __slots__ = ("finish",)
    FINISH_FIELD_NUMBER: _ClassVar[int]
    finish: bool
    def __init__(self, finish: _Optional[bool] = ...) -> None: ...

class MemberKey(_message.Message):
    __slots__ = ("spki_sha256", "node_id", "name", "role", "not_after_unix_s", "revoked", "holds_authority", "witness")
    SPKI_SHA256_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    HOLDS_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    WITNESS_FIELD_NUMBER: _ClassVar[int]
    spki_sha256: str
    node_id: str
    name: str
    role: str
    not_after_unix_s: float
    revoked: bool
    holds_authority: bool
    witness: bool
    def __init__(self, spki_sha256: _Optional[str] = ..., node_id: _Optional[str] = ..., name: _Optional[str] = ..., role: _Optional[str] = ..., not_after_unix_s: _Optional[float] = ..., revoked: _Optional[bool] = ..., holds_authority: _Optional[bool] = ..., witness: _Optional[bool] = ...) -> None: ...

class TrustState(_message.Message):
    __slots__ = ("cluster", "authority_sha256", "members", "invitations", "authorities")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_SHA256_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    INVITATIONS_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    authority_sha256: str
    members: _containers.RepeatedCompositeFieldContainer[MemberKey]
    invitations: int
    authorities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., authority_sha256: _Optional[str] = ..., members: _Optional[_Iterable[_Union[MemberKey, _Mapping]]] = ..., invitations: _Optional[int] = ..., authorities: _Optional[_Iterable[str]] = ...) -> None: ...

class InviteRequest(_message.Message):
    __slots__ = ("role", "ttl_s", "name")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    role: str
    ttl_s: float
    name: str
    def __init__(self, role: _Optional[str] = ..., ttl_s: _Optional[float] = ..., name: _Optional[str] = ...) -> None: ...

class InviteReply(_message.Message):
    __slots__ = ("token", "addresses", "expires_unix_s")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    token: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    expires_unix_s: float
    def __init__(self, token: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., expires_unix_s: _Optional[float] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeReply(_message.Message):
    __slots__ = ("authority_pem", "tls_port")
    AUTHORITY_PEM_FIELD_NUMBER: _ClassVar[int]
    TLS_PORT_FIELD_NUMBER: _ClassVar[int]
    authority_pem: bytes
    tls_port: int
    def __init__(self, authority_pem: _Optional[bytes] = ..., tls_port: _Optional[int] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("secret", "csr_pem", "name", "witness")
    SECRET_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WITNESS_FIELD_NUMBER: _ClassVar[int]
    secret: str
    csr_pem: bytes
    name: str
    witness: bool
    def __init__(self, secret: _Optional[str] = ..., csr_pem: _Optional[bytes] = ..., name: _Optional[str] = ..., witness: _Optional[bool] = ...) -> None: ...

class EnrolReply(_message.Message):
    __slots__ = ("certificate_pem", "authorities_pem", "members", "cluster", "addresses", "revocations")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_PEM_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    authorities_pem: _containers.RepeatedScalarFieldContainer[bytes]
    members: _containers.RepeatedScalarFieldContainer[bytes]
    cluster: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    revocations: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, certificate_pem: _Optional[bytes] = ..., authorities_pem: _Optional[_Iterable[bytes]] = ..., members: _Optional[_Iterable[bytes]] = ..., cluster: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., revocations: _Optional[_Iterable[bytes]] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("csr_pem",)
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    csr_pem: bytes
    def __init__(self, csr_pem: _Optional[bytes] = ...) -> None: ...

class RenewReply(_message.Message):
    __slots__ = ("certificate_pem", "authorities_pem")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    authorities_pem: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, certificate_pem: _Optional[bytes] = ..., authorities_pem: _Optional[_Iterable[bytes]] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("last",)
    LAST_FIELD_NUMBER: _ClassVar[int]
    last: int
    def __init__(self, last: _Optional[int] = ...) -> None: ...

class AuditLine(_message.Message):
    __slots__ = ("seq", "at_unix_s", "actor", "role", "method", "object", "outcome", "hash")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at_unix_s: float
    actor: str
    role: str
    method: str
    object: str
    outcome: str
    hash: str
    def __init__(self, seq: _Optional[int] = ..., at_unix_s: _Optional[float] = ..., actor: _Optional[str] = ..., role: _Optional[str] = ..., method: _Optional[str] = ..., object: _Optional[str] = ..., outcome: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class AuditReply(_message.Message):
    __slots__ = ("lines", "unbroken")
    LINES_FIELD_NUMBER: _ClassVar[int]
    UNBROKEN_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[AuditLine]
    unbroken: bool
    def __init__(self, lines: _Optional[_Iterable[_Union[AuditLine, _Mapping]]] = ..., unbroken: _Optional[bool] = ...) -> None: ...
