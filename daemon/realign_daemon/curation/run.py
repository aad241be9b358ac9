"""Run: one job from its spec to its output folder: stage by stage, a gate after each, stopping where one rejects."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.stages import dpo
from realign_daemon.curation.stages.measures import Measures
from realign_planner import gates
from realign_planner.data_types import DataType
from realign_planner.gates import Verdict
from realign_planner.stage import Stage
from realign_planner.workflow import for_type

log = structlog.get_logger()

StageWork = Callable[[Desk, Material], Awaitable[Measures]]
Announce = Callable[[str, str], None]  # kind of event, one line for people

# Which function does a stage. A workflow whose stages are not here can be planned but not submitted.
WORK: Mapping[DataType, Mapping[str, StageWork]] = {"dpo": dpo.WORK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the stages of a job ended."""

    blocked_by: tuple[Verdict, ...] = ()
    has_errors: bool = False
    is_empty: bool = False  # all stages passed and there is nothing to train on


async def run_stages(
    desk: Desk, material: Material, *, clock: Clock, announce: Announce, checkpoint: Callable[[], Awaitable[None]]
) -> Ending:
    """Does the job's stages in order until the end, `until`, or a gate that rejects; a checkpoint after each."""
    record = desk.record
    reset(record)
    stages = for_type(desk.spec.data_type).up_to(desk.spec.until)
    for stage in stages:
        desk.stage = record.stage(stage.name)
        desk.stage.state = "running"
        desk.stage.started_unix_s = desk.stage.started_unix_s or clock.unix()
        announce("stage_started", stage.title)
        measures = await WORK[desk.spec.data_type][stage.name](desk, material)
        verdicts = judge(stage, measures, desk)
        record.gates.extend(verdicts)
        record.reports.update({name: finite(measure.value) for name, measure in measures.items()})
        for verdict in verdicts:
            announce("gate", sentence(verdict))
        blocking = tuple(verdict for verdict in verdicts if gates.blocks(verdict) and not is_overridden(verdict, desk))
        desk.stage.state = "blocked" if blocking else "done"
        desk.stage.ended_unix_s = clock.unix()
        desk.stage.activity = ""
        announce("stage_ended", f"{stage.title}: {desk.stage.state}")
        await checkpoint()
        if blocking:
            return Ending(blocked_by=blocking, has_errors=has_errors(record))
    for left in record.stages[len(stages) :]:
        left.state = "skipped"
    is_whole = len(stages) == len(record.stages)
    is_empty = is_whole and all(row.is_held_out for row in material.rows)
    return Ending(has_errors=has_errors(record), is_empty=is_empty)


def judge(stage: Stage, measures: Measures, desk: Desk) -> list[Verdict]:
    """The verdict of every gate of the stage, in the workflow's order. A value that is no number becomes None.

    Raises:
        KeyError: the stage did not measure what its gate reads, which is a defect of the stage.
    """
    verdicts = [gates.judge(stage.name, measures[metric], overrides=desk.spec.gate_settings) for metric in stage.gates]
    return [replace(one, value=finite(one.value)) for one in verdicts]


def finite(value: float | None) -> float | None:
    """The value where it is a number: JSON has no other."""
    return value if value is not None and math.isfinite(value) else None


def is_overridden(verdict: Verdict, desk: Desk) -> bool:
    """True when the user let this gate pass and said why."""
    return verdict.metric in desk.spec.overrides


def has_errors(record: JobRecord) -> bool:
    """True when a unit was given up."""
    return any(stage.quarantined for stage in record.stages)


def reset(record: JobRecord) -> None:
    """Clears what a run counts anew. Remembered results are counted again as the stages pass over them."""
    record.gates.clear()
    record.nodes.clear()
    record.reports.clear()
    record.error = ""
    record.reused = 0
    record.stages[:] = [
        StageRecord(name=stage.name, title=stage.title, started_unix_s=stage.started_unix_s) for stage in record.stages
    ]


def sentence(verdict: Verdict) -> str:
    """The verdict as one line for people."""
    value = "nothing to measure" if verdict.value is None else f"{verdict.value:.3f}"
    interval = "" if verdict.low is None or verdict.high is None else f" [{verdict.low:.3f}, {verdict.high:.3f}]"
    undecided = ", undecided" if verdict.undecided else ""
    return f"{verdict.metric} {value}{interval}, n={verdict.n}: {verdict.tier}{undecided}"
