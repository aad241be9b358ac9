"""Jobs to and from the wire. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from realign_daemon.curation.eta import eta_s
from realign_daemon.curation.intake import Request
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import JobRecord, NodeRecord, StageRecord
from realign_daemon.curation.spec import SourceSpec, to_json
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput
from realign_daemon.rpc.status_servicer import JobProgress
from realign_planner.gates import Verdict
from realign_planner.plan import Role
from realign_proto.v1 import curation_pb2 as pb


def request_from_wire(wire: pb.JobRequest) -> Request:
    """The request in the message; where it carries a whole spec, the message's own fields win over it.

    Raises:
        BadInput: the spec is none.
    """
    try:
        asked: dict[str, Any] = json.loads(wire.spec_json) if wire.spec_json else {}
        json.dumps(asked, ensure_ascii=False).encode()  # JSON can name halves of characters, which nothing else carries
        return _request(wire, asked)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadInput("the spec is damaged; print it again with show --spec") from error


def _request(wire: pb.JobRequest, asked: dict[str, Any]) -> Request:
    def text(name: str) -> str:
        return str(getattr(wire, name) or asked.get(name) or "")

    def names(name: str) -> tuple[str, ...]:
        given: list[str | dict[str, Any]] = list(getattr(wire, name)) or asked.get(name) or []
        return tuple(item if isinstance(item, str) else str(item["name"]) for item in given)

    def files(name: str) -> tuple[SourceSpec, ...]:
        announced = [source_from_wire(source) for source in getattr(wire, name)]
        return tuple(announced or [_printed_source(source) for source in asked.get(name) or ()])

    def table(name: str) -> dict[str, str]:
        given: dict[str, Any] = asked.get(name) or {}
        return {str(key): str(value) for key, value in given.items()}

    def number(name: str) -> int | None:
        value = getattr(wire, name) if wire.HasField(name) else asked.get(name)
        return None if value is None else int(value)

    def model(role: Role) -> str:
        roles: dict[str, dict[str, Any]] = {} if wire.model else asked.get("roles", {})
        return str(getattr(wire, role) or roles.get(role, {}).get("name", ""))

    def engine(name: str, key: str) -> str:
        roles: dict[str, dict[str, Any]] = {} if wire.model else asked.get("roles", {})
        printed = (roles.get(role, {}) for role in ("generator", "judge"))
        return str(getattr(wire, name) or next((pin[key] for pin in printed if pin.get("endpoint")), ""))

    return Request(
        text=text("text") or str(asked.get("request") or ""),
        data_type=text("data_type"),
        model=text("model"),
        target=model("target"),
        generator=model("generator"),
        judge=model("judge"),
        bits=number("bits"),
        count=number("count"),
        seed=number("seed") or 0,
        nodes=names("nodes"),
        exclude_nodes=names("exclude_nodes"),
        until=text("until"),
        settings={**table("settings"), **wire.settings},
        sources=files("sources"),
        data=source_from_wire(wire.data)
        if wire.HasField("data")
        else next((_printed_source(source) for source in (asked.get("data"),) if source), None),
        columns={**table("columns"), **wire.columns},
        eval_sets=files("eval_sets"),
        earlier=Sha256(str(asked["earlier"])) if asked.get("earlier") else None,
        drops=tuple(str(condition) for condition in asked.get("drops") or ()),
        overrides=table("overrides"),
        thresholds=table("thresholds"),
        judges=tuple(wire.judges) if wire.judge or wire.model else names("judges"),
        thinking={**table("thinking"), **wire.thinking},
        pilot=wire.pilot,
        engine=engine("engine", "endpoint"),
        engine_model=engine("engine_model", "remote"),
        engine_templates=engine("engine_templates", "templates"),
        client_token=wire.client_token,
        assume_yes=wire.assume_yes,
        output_hint=wire.output_hint,
    )


def _printed_source(source: Mapping[str, Any]) -> SourceSpec:
    return SourceSpec(
        name=str(source["name"]), sha256=Sha256(str(source["sha256"])), size_bytes=int(source["size_bytes"])
    )


def source_from_wire(wire: pb.Source) -> SourceSpec:
    """The source as it was announced."""
    return SourceSpec(name=wire.name, sha256=Sha256(wire.sha256), size_bytes=wire.size_bytes)


def job_to_wire(job: Job, *, home: str, now_unix_s: float) -> pb.Job:
    """The job as a message."""
    listed = listed_job_to_wire(job, home=home, now_unix_s=now_unix_s)
    record = job.record
    listed.spec_json = to_json(job.spec)
    listed.summary_json = json.dumps(record.summary) if record.summary else ""
    listed.plan_json = json.dumps(record.plan or {})
    listed.pilot_json = json.dumps(record.pilot) if record.pilot else ""
    return listed


def listed_job_to_wire(job: Job, *, home: str, now_unix_s: float) -> pb.Job:
    """The job as a message for a list, without what may be large: spec, summary, plan and pilot."""
    record, spec = job.record, job.spec
    plan = record.plan or {}
    return pb.Job(
        id=spec.job_id,
        state=record.state,
        home=home,
        output=record.output,
        stages=[_stage(stage) for stage in record.stages],
        nodes=[
            _node(node, is_ended=record.is_ended)
            for node in sorted(record.nodes.values(), key=lambda node: -node.units)
        ],
        gates=[_gate(verdict, spec.overrides.get(verdict.metric, "")) for verdict in record.gates],
        predicted_json=json.dumps(plan.get("predicted")),
        actual_json=json.dumps(actual(record, now_unix_s)),
        error=record.error,
        request=spec.request,
        data_type=spec.data_type,
        created_unix_s=spec.created_unix_s,
        ended_unix_s=record.ended_unix_s,
        examples_per_s=speed(record),
        eta_s=eta_s(record, now_unix_s),
        warnings=record.warnings,
        exit_code=record.exit_code,
        folder_name=spec.folder_name,
        paused_by=(record.paused_by or "") if record.state == "paused" else "",
        provisional=record.provisional,
        decision_json=json.dumps(asdict(record.decision)) if record.decision else "",
    )


def progress_of(job: Job, *, now_unix_s: float) -> JobProgress:
    """The few figures that `status` shows of a job."""
    record = job.record
    current = next((stage for stage in record.stages if stage.state == "running"), None)
    return JobProgress(
        job_id=job.spec.job_id,
        state=record.state,
        stage=current.title if current else "",
        stages_total=len(record.stages),
        units_done=sum(stage.done for stage in record.stages),
        units_total=sum(stage.total for stage in record.stages),
        examples_per_s=speed(record),
        eta_s=eta_s(record, now_unix_s),
    )


def actual(record: JobRecord, now_unix_s: float) -> dict[str, float]:
    """Measured so far: wall seconds at work and examples per second of wall time."""
    worked_s = record.worked_for_s(now_unix_s)
    examples = sum(node.examples for node in record.nodes.values())
    return {"makespan_s": worked_s, "examples_per_s": examples / worked_s if worked_s > 0 else 0.0}


def speed(record: JobRecord) -> float:
    """Examples per second of all nodes together, while they had work."""
    return sum(node.examples_per_s for node in record.nodes.values())


def _stage(stage: StageRecord) -> pb.JobStage:
    return pb.JobStage(
        name=stage.name,
        title=stage.title,
        state=stage.state,
        units=pb.UnitCounts(total=stage.total, done=stage.done, retried=stage.retried, quarantined=stage.quarantined),
        started_unix_s=stage.started_unix_s,
        ended_unix_s=stage.ended_unix_s,
        activity=stage.activity,
    )


def _node(node: NodeRecord, *, is_ended: bool) -> pb.JobNode:
    return pb.JobNode(
        name=node.name,
        units=node.units,
        examples=node.examples,
        examples_per_s=node.examples_per_s,
        node_id=node.node_id,
        state="idle" if is_ended else node.state,
    )


def _gate(verdict: Verdict, overridden_because: str) -> pb.GateVerdict:
    return pb.GateVerdict(
        stage=verdict.stage,
        metric=verdict.metric,
        tier=verdict.tier,
        value=verdict.value,
        low=verdict.low,
        high=verdict.high,
        n=verdict.n,
        undecided=verdict.undecided,
        remedy=verdict.remedy,
        overridden_because=overridden_because,
    )
