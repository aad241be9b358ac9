"""Run: one job from its spec to its rows: stage by stage, a gate after each, stopping where one rejects."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from realign_daemon.clock import Clock
from realign_daemon.curation.desk import Desk
from realign_daemon.curation.drops import without_dropped
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.stages import dpo, prompts, sft
from realign_daemon.curation.stages.antihallucination import workflow as antihallucination
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.rlvr import workflow as rlvr
from realign_daemon.curation.stages.work import Work
from realign_daemon.errors import BadInput
from realign_planner import gates
from realign_planner.data_types import DataType
from realign_planner.gates import Verdict
from realign_planner.stage import Stage
from realign_planner.workflow import for_type

Announce = Callable[[str, str], None]  # kind of event, one line for people

# A workflow whose functions are not here can be planned but not submitted.
WORK: Mapping[DataType, Work] = {
    "antihallucination": antihallucination.WORK,
    "dpo": dpo.WORK,
    "rlvr": rlvr.WORK,
    "sft": sft.WORK,
}
# How often undecided gates may ask for half as many prompts again: two rounds cost at most 1.25 times what was there.
WIDEN_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the stages of a job ended."""

    blocked_by: tuple[Verdict, ...] = ()
    has_errors: bool = False
    is_empty: bool = False  # all stages passed and there is nothing to train on


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The way of one job through its stages: what they work at, and who is told."""

    work: Work
    desk: Desk
    material: Material
    clock: Clock
    announce: Announce

    async def begin(self, stages: Sequence[Stage]) -> Sequence[Stage]:
        """The stages to run: all of them, or those from where data that was given comes in; the others are skipped.

        Raises:
            BadInput: data was given, and the job ends before the stage where it comes in.
        """
        desk = self.desk
        if desk.spec.data is None:
            return stages
        names = [stage.name for stage in stages]
        desk.stage = desk.record.stage(names[0])  # reading the data counts there
        first = await self.work.enter(desk, self.material)
        if first not in names:
            message = (
                f"--until {desk.spec.until} ends before {first}, where rows that you have come in; name that or later"
            )
            raise BadInput(message)
        index = names.index(first)
        for name in names[:index]:
            desk.record.stage(name).state = "skipped"
        return stages[index:]

    async def do(self, stage: Stage, before: Sequence[Stage] | None = None) -> list[Verdict]:
        """Runs a stage and gives its gates' verdicts; an undecided one draws more prompts while its budget lasts.

        Then the stages `before` it that work on prompts run again; None where there are no prompts before it. Only
        stages before the training can draw more: what a model was trained on does not change after the fact.
        """
        desk = self.desk
        self._start(stage)
        verdicts = await self._measured(stage)
        rounds = int(desk.spec.setting("widen_rounds", WIDEN_ROUNDS))  # of all gates together
        if before is None or desk.is_pilot or stage.trains or not stage.pilot:
            return verdicts
        while self.material.widenings < rounds and (undecided := _undecided(verdicts)):
            came = await self._widen(stage)
            if not came:
                break
            self.material.widenings += 1
            self.announce("widened", f"{', '.join(undecided)} undecided: {came} more prompts")
            for earlier in (one for one in before if not one.trains):
                self._start_over(earlier)
                await self._measured(earlier)
            self._start_over(stage)
            verdicts = await self._measured(stage)
        return verdicts

    async def _widen(self, stage: Stage) -> int:
        """More prompts for a stage; how many came. Asking for them counts where the first ones were asked for."""
        desk = self.desk
        desk.stage = desk.record.stages[0]
        came = await prompts.widen(desk, self.material, self.work.asking)
        desk.stage.activity = ""
        desk.stage = desk.record.stage(stage.name)
        return came

    def _start(self, stage: Stage) -> None:
        desk = self.desk
        desk.stage = desk.record.stage(stage.name)
        desk.stage.state = "running"
        desk.stage.started_unix_s = desk.stage.started_unix_s or self.clock.unix()

    def _start_over(self, stage: Stage) -> None:
        """What the stage counted and left out before is found anew."""
        self._start(stage)
        record = self.desk.stage
        record.total = record.done = record.quarantined = 0
        self.material.dropped = [one for one in self.material.dropped if one.stage != stage.name]

    async def _measured(self, stage: Stage) -> list[Verdict]:
        desk, material, record = self.desk, self.material, self.desk.record
        measures = await self.work.stages[stage.name](desk, material)
        material.rows, dropped = without_dropped(material.rows, desk.spec.drops, stage=stage.name)
        material.dropped.extend(dropped)
        verdicts = judge(stage, measures, desk)
        record.gates[:] = [verdict for verdict in record.gates if verdict.stage != stage.name] + verdicts
        record.reports.update({name: finite(measure.value) for name, measure in measures.items()})
        desk.stage.state = "done"
        desk.stage.ended_unix_s = self.clock.unix()
        desk.stage.activity = ""
        return verdicts


async def run_stages(course: Course, *, checkpoint: Callable[[], Awaitable[None]]) -> Ending:
    """Does the job's stages in order until the end, `until`, or a gate that rejects; a checkpoint after each."""
    desk, record = course.desk, course.desk.record
    reset(record, course.clock.unix())
    _warn_of_a_judge_in_its_own_cause(desk)
    up_to = for_type(desk.spec.data_type).up_to(desk.spec.until)
    stages = await course.begin(up_to)
    for place, stage in enumerate(stages):
        course.announce("stage_started", stage.title)
        first = 0 if desk.spec.data else 1  # that works on prompts; the one before it draws them
        verdicts = await course.do(stage, stages[first:place] if place >= first else None)
        for verdict in verdicts:
            course.announce("gate", sentence(verdict))
        blocking = tuple(verdict for verdict in verdicts if gates.blocks(verdict) and not is_overridden(verdict, desk))
        desk.stage.state = "blocked" if blocking else "done"
        course.announce("stage_ended", f"{stage.title}: {desk.stage.state}")
        await checkpoint()
        if blocking:
            return Ending(blocked_by=blocking, has_errors=has_errors(record))
    for left in record.stages[len(up_to) :]:
        left.state = "skipped"
    is_whole = len(up_to) == len(record.stages)
    is_empty = is_whole and all(row.is_held_out for row in course.material.rows)
    return Ending(has_errors=has_errors(record), is_empty=is_empty)


def _warn_of_a_judge_in_its_own_cause(desk: Desk) -> None:
    """A model prefers what it wrote itself (arXiv 2404.13076): whoever reads the figures should know."""
    authors = {desk.pin("target").model, desk.pin("generator").model}
    if for_type(desk.spec.data_type).asks_a_judge and any(pin.model in authors for pin in desk.judges):
        desk.warn(
            "the judge is one of the models that wrote the answers, so it grades its own work; --judge names another"
        )


def judge(stage: Stage, measures: Measures, desk: Desk) -> list[Verdict]:
    """The verdict of every gate of the stage, in the workflow's order. A value that is no number becomes None.

    Raises:
        KeyError: the stage did not measure what its gate reads, which is a defect of the stage.
    """
    verdicts = [gates.judge(stage.name, measures[metric], overrides=desk.spec.gate_settings) for metric in stage.gates]
    return [replace(one, value=finite(one.value)) for one in verdicts]


def _undecided(verdicts: Sequence[Verdict]) -> list[str]:
    """The gates whose tier more samples could change. One that measured over everything there is has no interval."""
    return [one.metric for one in verdicts if one.undecided and (one.low is not None or one.tier == "INSUFFICIENT")]


def finite(value: float | None) -> float | None:
    """The value where it is a number: JSON has no other."""
    return value if value is not None and math.isfinite(value) else None


def is_overridden(verdict: Verdict, desk: Desk) -> bool:
    """True when the user let this gate pass and said why."""
    return verdict.metric in desk.spec.overrides


def has_errors(record: JobRecord) -> bool:
    """True when a unit was given up."""
    return any(stage.quarantined for stage in record.stages)


def reset(record: JobRecord, now_unix_s: float) -> None:
    """Clears what a run finds out anew about its stages; it begins now."""
    record.worked_before_s = record.worked_for_s(now_unix_s)
    record.gates.clear()
    record.reports.clear()
    record.error = ""
    record.self_test = None
    record.warnings[:] = (record.plan or {}).get("warnings", ())
    record.stages[:] = [
        StageRecord(name=stage.name, title=stage.title, started_unix_s=stage.started_unix_s) for stage in record.stages
    ]


def sentence(verdict: Verdict) -> str:
    """The verdict as one line for people."""
    value = "nothing to measure" if verdict.value is None else f"{verdict.value:.3f}"
    interval = "" if verdict.low is None or verdict.high is None else f" [{verdict.low:.3f}, {verdict.high:.3f}]"
    undecided = ", undecided" if verdict.undecided else ""
    return f"{verdict.metric} {value}{interval}, n={verdict.n}: {verdict.tier}{undecided}"
