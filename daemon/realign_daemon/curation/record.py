"""Job record: where a job is: its state, stages, gates, and what each node did. The only mutable view of a job."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import cattrs

from realign_daemon.curation.coverage import Asked
from realign_daemon.engine.api import Sha256
from realign_daemon.work.ledger import StoredResult
from realign_planner.gates import Verdict

JobState = Literal[
    "queued", "pilot", "running", "paused", "blocked", "completed", "completed_with_errors", "failed", "cancelled"
]
StageState = Literal["waiting", "running", "done", "blocked", "skipped"]
PauseCause = Literal["pilot", "hand", "disk"]  # the pilot is done and wants a word; somebody said so; the disk is full

ENDED: frozenset[JobState] = frozenset({"blocked", "completed", "completed_with_errors", "failed", "cancelled"})
EXIT_CODES: dict[JobState, int] = {"blocked": 3, "failed": 1, "cancelled": 1}


@dataclass(slots=True, kw_only=True)
class StageRecord:
    """One stage of a job."""

    name: str
    title: str
    state: StageState = "waiting"
    total: int = 0
    done: int = 0
    computed: int = 0  # by this run, trainings apart
    remembered: int = 0  # units that this run need not compute: an earlier one, the pilot or another job did
    retried: int = 0
    quarantined: int = 0
    started_unix_s: float = 0.0
    ended_unix_s: float = 0.0
    activity: str = ""
    trainings: int = 0  # of the total, units that train
    trained: int = 0  # of those, by this run
    trained_before: int = 0  # of those, remembered
    part: float = 0.0  # how far the training is that runs, 0..1


@dataclass(slots=True, kw_only=True)
class NodeRecord:
    """What one node did for a job. Training counts as a unit and not as an example: it has no comparable speed."""

    node_id: str
    name: str
    units: int = 0
    examples: int = 0
    busy_s: float = 0.0  # engine time of the examples
    state: str = "idle"

    @property
    def examples_per_s(self) -> float:
        """Examples per second of engine time; 0 before the first."""
        return self.examples / self.busy_s if self.busy_s > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """An end that stands."""

    instance: int
    config_epoch: int
    end: str
    manifest: Sha256


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """A job's state. Written to the ledger at every change of stage or state."""

    state: JobState = "queued"
    stages: list[StageRecord] = field(default_factory=list[StageRecord])
    nodes: dict[str, NodeRecord] = field(default_factory=dict[str, NodeRecord])
    gates: list[Verdict] = field(default_factory=list[Verdict])
    warnings: list[str] = field(default_factory=list[str])
    reports: dict[str, float | None] = field(default_factory=dict[str, float | None])
    error: str = ""
    paused_by: PauseCause | None = None  # what paused it last
    output: str = ""
    # Why the end, or the run, is not final yet, one sentence; empty otherwise. The output lies apart until it is.
    provisional: str = ""
    manifest: Sha256 | None = None  # of a provisional end: what is to be decided of it
    decision: Decided | None = None  # what the voters decided of the instance that ended last
    plan: dict[str, Any] | None = None  # the plan document in force
    pilot: dict[str, Any] | None = None  # what the pilot found; None before it
    sources: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # what reading them showed
    sections: tuple[Asked, ...] = ()
    adapter: Sha256 | None = None  # that lies in the output folder
    trained_rows: int | None = None  # that it was trained on, before any was dropped; None of a baseline's
    fused: Sha256 | None = None  # the model with the adapter in its weights, that lies there, too
    self_test: dict[str, Any] | None = None  # which planted defects its checks found
    # Some of what each stage made: shown until it has made it anew, and not kept beside an output folder.
    exhibits: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    summary: dict[str, Any] | None = None
    began_unix_s: float = 0.0  # when it ran for the first time; restarts do not change that
    started_unix_s: float = 0.0
    ended_unix_s: float = 0.0
    reused: int = 0  # units that were computed before the job began, for another one
    worked_s: float = 0.0  # wall time spent running before the last start: pauses and restarts do not count
    worked_before_s: float = 0.0  # of the time at work, what went before this run began with its stages

    def stage(self, name: str) -> StageRecord:
        """The stage of that name. Raises StopIteration when the workflow has none."""
        return next(stage for stage in self.stages if stage.name == name)

    def count(self, results: Iterable[StoredResult], *, names: dict[str, str]) -> None:
        """Adds finished units to the totals of the nodes that computed them."""
        for result in results:
            node = self.nodes.setdefault(
                result.node, NodeRecord(node_id=result.node, name=names.get(result.node, result.node))
            )
            node.units += 1
            if result.kind not in {"trained", "rendered", "fused"}:
                node.examples += 1
                node.busy_s += result.busy_s

    def worked_for_s(self, now_unix_s: float) -> float:
        """Wall time spent running, all in all. A clock that was set back adds nothing."""
        return self.worked_s + (max(0.0, now_unix_s - self.started_unix_s) if self.started_unix_s else 0.0)

    @property
    def exit_code(self) -> int:
        """What a shell that waits for this job exits with."""
        return EXIT_CODES.get(self.state, 0)

    @property
    def is_ended(self) -> bool:
        """True when nothing more happens by itself."""
        return self.state in ENDED


_converter = cattrs.Converter()


def record_to_json(record: JobRecord) -> str:
    """The record as JSON text."""
    return json.dumps(_converter.unstructure(record), sort_keys=True, ensure_ascii=False)


def record_from_json(text: str) -> JobRecord:
    """The record in the text. Raises ValueError when there is none."""
    try:
        return _converter.structure(json.loads(text), JobRecord)
    except (cattrs.BaseValidationError, TypeError, KeyError) as error:
        message = "this is not a job record that this version understands"
        raise ValueError(message) from error
