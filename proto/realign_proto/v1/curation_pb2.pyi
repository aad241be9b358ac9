from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Source(_message.Message):
    __slots__ = ("name", "sha256", "size_bytes", "held_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    HELD_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    sha256: str
    size_bytes: int
    held_by: str
    def __init__(self, name: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., held_by: _Optional[str] = ...) -> None: ...

class JobRequest(_message.Message):
    __slots__ = ("text", "data_type", "model", "target", "generator", "judge", "bits", "count", "seed", "nodes", "exclude_nodes", "until", "settings", "sources", "client_token", "assume_yes", "output_hint", "spec_json", "data", "columns", "eval_sets", "append_job", "judges", "thinking", "pilot", "engine", "engine_model", "engine_templates")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ColumnsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ThinkingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    GENERATOR_FIELD_NUMBER: _ClassVar[int]
    JUDGE_FIELD_NUMBER: _ClassVar[int]
    BITS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_NODES_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ASSUME_YES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_HINT_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    EVAL_SETS_FIELD_NUMBER: _ClassVar[int]
    APPEND_JOB_FIELD_NUMBER: _ClassVar[int]
    JUDGES_FIELD_NUMBER: _ClassVar[int]
    THINKING_FIELD_NUMBER: _ClassVar[int]
    PILOT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ENGINE_TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    text: str
    data_type: str
    model: str
    target: str
    generator: str
    judge: str
    bits: int
    count: int
    seed: int
    nodes: _containers.RepeatedScalarFieldContainer[str]
    exclude_nodes: _containers.RepeatedScalarFieldContainer[str]
    until: str
    settings: _containers.ScalarMap[str, str]
    sources: _containers.RepeatedCompositeFieldContainer[Source]
    client_token: str
    assume_yes: bool
    output_hint: str
    spec_json: str
    data: Source
    columns: _containers.ScalarMap[str, str]
    eval_sets: _containers.RepeatedCompositeFieldContainer[Source]
    append_job: str
    judges: _containers.RepeatedScalarFieldContainer[str]
    thinking: _containers.ScalarMap[str, str]
    pilot: str
    engine: str
    engine_model: str
    engine_templates: str
    def __init__(self, text: _Optional[str] = ..., data_type: _Optional[str] = ..., model: _Optional[str] = ..., target: _Optional[str] = ..., generator: _Optional[str] = ..., judge: _Optional[str] = ..., bits: _Optional[int] = ..., count: _Optional[int] = ..., seed: _Optional[int] = ..., nodes: _Optional[_Iterable[str]] = ..., exclude_nodes: _Optional[_Iterable[str]] = ..., until: _Optional[str] = ..., settings: _Optional[_Mapping[str, str]] = ..., sources: _Optional[_Iterable[_Union[Source, _Mapping]]] = ..., client_token: _Optional[str] = ..., assume_yes: _Optional[bool] = ..., output_hint: _Optional[str] = ..., spec_json: _Optional[str] = ..., data: _Optional[_Union[Source, _Mapping]] = ..., columns: _Optional[_Mapping[str, str]] = ..., eval_sets: _Optional[_Iterable[_Union[Source, _Mapping]]] = ..., append_job: _Optional[str] = ..., judges: _Optional[_Iterable[str]] = ..., thinking: _Optional[_Mapping[str, str]] = ..., pilot: _Optional[str] = ..., engine: _Optional[str] = ..., engine_model: _Optional[str] = ..., engine_templates: _Optional[str] = ...) -> None: ...

class SourceBytes(_message.Message):
    __slots__ = ("sha256", "data")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    data: bytes
    def __init__(self, sha256: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("request", "bytes")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    request: JobRequest
    bytes: SourceBytes
    def __init__(self, request: _Optional[_Union[JobRequest, _Mapping]] = ..., bytes: _Optional[_Union[SourceBytes, _Mapping]] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("job_id", "warnings", "plan_json", "copies")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PLAN_JSON_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    plan_json: str
    copies: int
    def __init__(self, job_id: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., plan_json: _Optional[str] = ..., copies: _Optional[int] = ...) -> None: ...

class PlanReply(_message.Message):
    __slots__ = ("plan_json", "fits")
    PLAN_JSON_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    plan_json: str
    fits: bool
    def __init__(self, plan_json: _Optional[str] = ..., fits: _Optional[bool] = ...) -> None: ...

class JobRef(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JobList(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class RetryRequest(_message.Message):
    __slots__ = ("job_id", "from_stage", "settings", "override_gate", "reason")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_STAGE_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_GATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    from_stage: str
    settings: _containers.ScalarMap[str, str]
    override_gate: str
    reason: str
    def __init__(self, job_id: _Optional[str] = ..., from_stage: _Optional[str] = ..., settings: _Optional[_Mapping[str, str]] = ..., override_gate: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SampleRequest(_message.Message):
    __slots__ = ("job_id", "n", "stage", "rejected")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    n: int
    stage: str
    rejected: bool
    def __init__(self, job_id: _Optional[str] = ..., n: _Optional[int] = ..., stage: _Optional[str] = ..., rejected: _Optional[bool] = ...) -> None: ...

class SampleReply(_message.Message):
    __slots__ = ("of", "total", "items_json")
    OF_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_JSON_FIELD_NUMBER: _ClassVar[int]
    of: str
    total: int
    items_json: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, of: _Optional[str] = ..., total: _Optional[int] = ..., items_json: _Optional[_Iterable[str]] = ...) -> None: ...

class RowRef(_message.Message):
    __slots__ = ("job_id", "row")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    row: str
    def __init__(self, job_id: _Optional[str] = ..., row: _Optional[str] = ...) -> None: ...

class RowReport(_message.Message):
    __slots__ = ("row_json", "provenance_json")
    ROW_JSON_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_JSON_FIELD_NUMBER: _ClassVar[int]
    row_json: str
    provenance_json: str
    def __init__(self, row_json: _Optional[str] = ..., provenance_json: _Optional[str] = ...) -> None: ...

class DropRequest(_message.Message):
    __slots__ = ("job_id", "conditions")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    conditions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_id: _Optional[str] = ..., conditions: _Optional[_Iterable[str]] = ...) -> None: ...

class DropReply(_message.Message):
    __slots__ = ("dropped", "job")
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    dropped: int
    job: Job
    def __init__(self, dropped: _Optional[int] = ..., job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class Questions(_message.Message):
    __slots__ = ("questions",)
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, questions: _Optional[_Iterable[str]] = ...) -> None: ...

class UnitCounts(_message.Message):
    __slots__ = ("total", "done", "retried", "quarantined")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    total: int
    done: int
    retried: int
    quarantined: int
    def __init__(self, total: _Optional[int] = ..., done: _Optional[int] = ..., retried: _Optional[int] = ..., quarantined: _Optional[int] = ...) -> None: ...

class JobStage(_message.Message):
    __slots__ = ("name", "title", "state", "units", "started_unix_s", "ended_unix_s", "activity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    STARTED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    ENDED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    title: str
    state: str
    units: UnitCounts
    started_unix_s: float
    ended_unix_s: float
    activity: str
    def __init__(self, name: _Optional[str] = ..., title: _Optional[str] = ..., state: _Optional[str] = ..., units: _Optional[_Union[UnitCounts, _Mapping]] = ..., started_unix_s: _Optional[float] = ..., ended_unix_s: _Optional[float] = ..., activity: _Optional[str] = ...) -> None: ...

class JobNode(_message.Message):
    __slots__ = ("name", "units", "examples", "examples_per_s", "node_id", "state")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_S_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    units: int
    examples: int
    examples_per_s: float
    node_id: str
    state: str
    def __init__(self, name: _Optional[str] = ..., units: _Optional[int] = ..., examples: _Optional[int] = ..., examples_per_s: _Optional[float] = ..., node_id: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class GateVerdict(_message.Message):
    __slots__ = ("stage", "metric", "tier", "value", "low", "high", "n", "undecided", "remedy", "overridden_because")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    UNDECIDED_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    OVERRIDDEN_BECAUSE_FIELD_NUMBER: _ClassVar[int]
    stage: str
    metric: str
    tier: str
    value: float
    low: float
    high: float
    n: int
    undecided: bool
    remedy: str
    overridden_because: str
    def __init__(self, stage: _Optional[str] = ..., metric: _Optional[str] = ..., tier: _Optional[str] = ..., value: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., n: _Optional[int] = ..., undecided: _Optional[bool] = ..., remedy: _Optional[str] = ..., overridden_because: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "state", "home", "output", "stages", "nodes", "gates", "predicted_json", "actual_json", "error", "request", "data_type", "created_unix_s", "ended_unix_s", "examples_per_s", "eta_s", "warnings", "spec_json", "exit_code", "summary_json", "folder_name", "plan_json", "pilot_json", "paused_by", "provisional", "decision_json")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_JSON_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_JSON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    ENDED_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_PER_S_FIELD_NUMBER: _ClassVar[int]
    ETA_S_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    SPEC_JSON_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_JSON_FIELD_NUMBER: _ClassVar[int]
    FOLDER_NAME_FIELD_NUMBER: _ClassVar[int]
    PLAN_JSON_FIELD_NUMBER: _ClassVar[int]
    PILOT_JSON_FIELD_NUMBER: _ClassVar[int]
    PAUSED_BY_FIELD_NUMBER: _ClassVar[int]
    PROVISIONAL_FIELD_NUMBER: _ClassVar[int]
    DECISION_JSON_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: str
    home: str
    output: str
    stages: _containers.RepeatedCompositeFieldContainer[JobStage]
    nodes: _containers.RepeatedCompositeFieldContainer[JobNode]
    gates: _containers.RepeatedCompositeFieldContainer[GateVerdict]
    predicted_json: str
    actual_json: str
    error: str
    request: str
    data_type: str
    created_unix_s: float
    ended_unix_s: float
    examples_per_s: float
    eta_s: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    spec_json: str
    exit_code: int
    summary_json: str
    folder_name: str
    plan_json: str
    pilot_json: str
    paused_by: str
    provisional: str
    decision_json: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[str] = ..., home: _Optional[str] = ..., output: _Optional[str] = ..., stages: _Optional[_Iterable[_Union[JobStage, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[JobNode, _Mapping]]] = ..., gates: _Optional[_Iterable[_Union[GateVerdict, _Mapping]]] = ..., predicted_json: _Optional[str] = ..., actual_json: _Optional[str] = ..., error: _Optional[str] = ..., request: _Optional[str] = ..., data_type: _Optional[str] = ..., created_unix_s: _Optional[float] = ..., ended_unix_s: _Optional[float] = ..., examples_per_s: _Optional[float] = ..., eta_s: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., spec_json: _Optional[str] = ..., exit_code: _Optional[int] = ..., summary_json: _Optional[str] = ..., folder_name: _Optional[str] = ..., plan_json: _Optional[str] = ..., pilot_json: _Optional[str] = ..., paused_by: _Optional[str] = ..., provisional: _Optional[str] = ..., decision_json: _Optional[str] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("job", "kind", "text", "at_unix_s")
    JOB_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_S_FIELD_NUMBER: _ClassVar[int]
    job: Job
    kind: str
    text: str
    at_unix_s: float
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., kind: _Optional[str] = ..., text: _Optional[str] = ..., at_unix_s: _Optional[float] = ...) -> None: ...

class FileChunk(_message.Message):
    __slots__ = ("path", "size_bytes", "sha256", "data")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    sha256: str
    data: bytes
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class FileEntry(_message.Message):
    __slots__ = ("path", "size_bytes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class FileList(_message.Message):
    __slots__ = ("job", "files")
    JOB_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    job: Job
    files: _containers.RepeatedCompositeFieldContainer[FileEntry]
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., files: _Optional[_Iterable[_Union[FileEntry, _Mapping]]] = ...) -> None: ...

class RemovedJob(_message.Message):
    __slots__ = ("job_id", "files", "bytes")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    files: int
    bytes: int
    def __init__(self, job_id: _Optional[str] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...
