from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ballot(_message.Message):
    __slots__ = ("epoch", "node")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    node: str
    def __init__(self, epoch: _Optional[int] = ..., node: _Optional[str] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("job_id", "instance", "ballot")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    instance: int
    ballot: Ballot
    def __init__(self, job_id: _Optional[str] = ..., instance: _Optional[int] = ..., ballot: _Optional[_Union[Ballot, _Mapping]] = ...) -> None: ...

class PrepareReply(_message.Message):
    __slots__ = ("promised", "highest", "accepted", "value", "decided")
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    promised: bool
    highest: Ballot
    accepted: Ballot
    value: bytes
    decided: bytes
    def __init__(self, promised: _Optional[bool] = ..., highest: _Optional[_Union[Ballot, _Mapping]] = ..., accepted: _Optional[_Union[Ballot, _Mapping]] = ..., value: _Optional[bytes] = ..., decided: _Optional[bytes] = ...) -> None: ...

class AcceptRequest(_message.Message):
    __slots__ = ("job_id", "instance", "ballot", "value")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    instance: int
    ballot: Ballot
    value: bytes
    def __init__(self, job_id: _Optional[str] = ..., instance: _Optional[int] = ..., ballot: _Optional[_Union[Ballot, _Mapping]] = ..., value: _Optional[bytes] = ...) -> None: ...

class AcceptReply(_message.Message):
    __slots__ = ("accepted", "highest", "decided")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    highest: Ballot
    decided: bytes
    def __init__(self, accepted: _Optional[bool] = ..., highest: _Optional[_Union[Ballot, _Mapping]] = ..., decided: _Optional[bytes] = ...) -> None: ...
