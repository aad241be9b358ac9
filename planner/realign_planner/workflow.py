"""A workflow: the seven stages that make one data type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from realign_planner.data_types import SKILLS, DataType
from realign_planner.stage import Operation, Stage
from realign_planner.workflows import antihallucination, dpo, rlvr, sft

_STAGES: Final[dict[DataType, tuple[Stage, ...]]] = {
    "dpo": dpo.STAGES,
    "sft": sft.STAGES,
    "rlvr": rlvr.STAGES,
    "antihallucination": antihallucination.STAGES,
}

# Where rows that somebody has already come in: the stages before are there to make such rows.
_ENTRIES: Final[dict[DataType, str]] = {
    "dpo": "score_pairs",
    "sft": "quality_filter",
    "rlvr": "solution_generation",
    "antihallucination": "refusal_data_generation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """The stages of a data type, in order."""

    data_type: DataType
    skill: str
    stages: tuple[Stage, ...]

    @property
    def entry(self) -> str:
        """The stage where rows that somebody has already come in."""
        return _ENTRIES[self.data_type]

    @property
    def pilot_stages(self) -> tuple[Stage, ...]:
        """The stages that a pilot goes through: all before the training that the workflow is for."""
        return tuple(stage for stage in self.stages if stage.pilot)

    @property
    def asks_a_judge(self) -> bool:
        """Whether any figure rests on the judge's word."""
        return any(operation.role == "judge" for stage in self.stages for operation in stage.operations)

    def judged_by(self, judges: int) -> Workflow:
        """The workflow with so many judges, each of whom is asked all that one would be."""
        stages = (
            replace(stage, operations=tuple(_by_each(operation, judges) for operation in stage.operations))
            for stage in self.stages
        )
        return replace(self, stages=tuple(stages))

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, or None."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def up_to(self, until: str | None) -> tuple[Stage, ...]:
        """The stages up to and including `until`; all of them when it is None or no stage of this workflow."""
        index = None if until is None else self.stage_index(until)
        return self.stages if index is None else self.stages[: index + 1]

    def ahead(self, until: str | None, *, has_rows: bool) -> tuple[Stage, ...]:
        """Like up_to, and of a job that begins with rows from `entry` on; none when it ends before that."""
        skipped = self.stage_index(self.entry) if has_rows else None
        return self.up_to(until)[skipped:]

    def stage_index(self, name: str) -> int | None:
        """Position of the stage, from 0, or None when the workflow has no such stage."""
        return next((index for index, stage in enumerate(self.stages) if stage.name == name), None)


def _by_each(operation: Operation, judges: int) -> Operation:
    if operation.role != "judge":
        return operation
    return replace(
        operation,
        per_passage=operation.per_passage * judges,
        per_row=operation.per_row * judges,
        fixed=operation.fixed * judges,
    )


def for_type(data_type: DataType) -> Workflow:
    """The workflow that makes this data type."""
    return Workflow(data_type=data_type, skill=SKILLS[data_type], stages=_STAGES[data_type])


def stage_index(data_type: DataType, name: str) -> int | None:
    """Position of a stage in the workflow of a data type, from 0, or None."""
    return for_type(data_type).stage_index(name)
