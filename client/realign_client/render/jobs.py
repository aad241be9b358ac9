"""Jobs for a person: one line each in a list, or one with its stages, nodes and gates. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from realign_client.render.figures import bar, duration, number, rate
from realign_client.render.table import table
from realign_proto.v1 import curation_pb2 as pb

ENDED = frozenset({"completed", "completed_with_errors", "failed", "cancelled", "blocked"})


def jobs_lines(jobs: Sequence[pb.Job]) -> list[str]:
    """The list of jobs, as given."""
    if not jobs:
        return ["no jobs yet; `realignctl submit` makes one"]
    rows = [
        (
            job.id,
            job.state,
            job.data_type,
            stage_now(job),
            f"{sum(stage.units.done for stage in job.stages)}/{sum(stage.units.total for stage in job.stages)}",
            duration(job.eta_s) if job.HasField("eta_s") else "-",
            job.home,
            job.request,
        )
        for job in jobs
    ]
    return table(("JOB", "STATE", "TYPE", "STAGE", "UNITS", "LEFT", "HOME", "REQUEST"), rows, right=(4, 5))


def job_lines(job: pb.Job) -> list[str]:
    """A job: how far it is, who works on it, what its gates say, and what to do about it."""
    lines = [f"{job.id} · {job.state} · {job.data_type} · home {job.home}", f"“{job.request}”"]
    if job.stages:
        lines += ["", *_stages(job)]
    if job.nodes:
        lines += ["", *_nodes(job)]
    if job.gates:
        lines += ["", *(gate_line(gate) for gate in job.gates)]
    lines += ["", _pace(job)]
    lines += [f"warning: {warning}" for warning in job.warnings]
    lines += outcome_lines(job) if job.state in ENDED else [job.provisional] if job.provisional else []
    return lines


def outcome_lines(job: pb.Job) -> list[str]:
    """What a job that stopped says of itself: its error, and for a blocked one the remedies."""
    lines = [text for text in (job.error, job.provisional) if text]
    if job.state == "blocked":
        remedies = {gate.remedy: None for gate in job.gates if gate.tier not in ("HIGH", "MEDIUM") and gate.remedy}
        lines += [f"remedy: {remedy}" for remedy in remedies]
    return lines


def gate_line(gate: pb.GateVerdict, *, with_remedy: bool = True) -> str:
    """The verdict with its 95 % interval: what was measured, on how many, and what to do about it."""
    text = f"gate {gate.stage}/{gate.metric}: {gate.tier}"
    if gate.HasField("value"):
        text += f" {number(gate.value)}"
    if gate.HasField("low") and gate.HasField("high"):
        text += f" [{number(gate.low)}, {number(gate.high)}]"
    text += f" n={gate.n}"
    text += ", undecided" if gate.undecided else ""
    text += f", overridden: {gate.overridden_because}" if gate.overridden_because else ""
    return text + (f" → {gate.remedy}" if with_remedy and gate.remedy else "")


def stage_now(job: pb.Job) -> str:
    """The stage at work, or the one where the job stands; a dash before the first and after the last."""
    at_work = (stage for stage in job.stages if stage.state in ("running", "blocked"))
    stage = next(at_work, None)
    return (stage.title or stage.name) if stage else "-"


def _stages(job: pb.Job) -> list[str]:
    rows = [
        (
            stage.title or stage.name,
            stage.state,
            bar(stage.units.done, stage.units.total),
            f"{stage.units.done}/{stage.units.total}",
            _trouble(stage.units),
            stage.activity,
        )
        for stage in job.stages
    ]
    return table(("STAGE", "STATE", "", "UNITS", "TROUBLE", ""), rows, right=(3,))


def _trouble(units: pb.UnitCounts) -> str:
    named = (("retried", units.retried), ("quarantined", units.quarantined))
    return ", ".join(f"{count} {name}" for name, count in named if count)


def _nodes(job: pb.Job) -> list[str]:
    rows = [(n.name, n.state, str(n.units), str(n.examples), rate(n.examples_per_s)) for n in job.nodes]
    return table(("NODE", "STATE", "UNITS", "EXAMPLES", "SPEED"), rows, right=(2, 3, 4))


def _pace(job: pb.Job) -> str:
    left = f", about {duration(job.eta_s)} left" if job.HasField("eta_s") else ""
    return f"speed {rate(job.examples_per_s)}{left}"
