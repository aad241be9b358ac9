"""The pilot's forecast: how long the stages will take, from how long they took for a few items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from realign_planner.estimate import RANGES
from realign_planner.plan import Basis
from realign_planner.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a stage did in the pilot: units, and seconds from its begin to its end."""

    units: int
    seconds: float


def forecast(
    stages: Sequence[Stage], *, rows: int, predicted: Sequence[Mapping[str, Any]], paces: Mapping[str, Pace]
) -> list[dict[str, Any]]:
    """Expected seconds of each stage with their range: measured where the pilot went, else the plan's figure corrected.

    A stage that the pilot went through keeps its seconds a unit: batches are fuller in the run, so it may be faster.
    The others have the plan's prediction times the factor by which the pilot's stages missed theirs.
    """
    planned = {stage["stage"]: float(stage["expected_s"]) for stage in predicted}
    measured = {
        stage.name: pace.seconds / pace.units * _units(stage, rows)
        for stage in stages
        if not stage.trains and (pace := paces.get(stage.name)) is not None and pace.units
    }
    expected_by_plan = sum(planned.get(name, 0.0) for name in measured)
    factor = sum(measured.values()) / expected_by_plan if expected_by_plan else 1.0
    return [
        _estimate(stage, rows, measured.get(stage.name, planned.get(stage.name, 0.0) * factor), stage.name in measured)
        for stage in stages
    ]


def _units(stage: Stage, rows: int) -> int:
    return sum(operation.units(rows) for operation in stage.operations)


def _estimate(stage: Stage, rows: int, expected_s: float, is_measured: bool) -> dict[str, Any]:  # noqa: FBT001
    basis: Basis = "measured" if is_measured else "prior"
    fastest, slowest = RANGES[basis]
    return {
        "stage": stage.name,
        "units": _units(stage, rows),
        "expected_s": expected_s,
        "low_s": expected_s * fastest,
        "high_s": expected_s * slowest,
        "basis": basis,
    }
