"""The pilot's forecast: how long the stages will take, from how long they took for a few items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from realign_planner.estimate import RANGES
from realign_planner.stage import Stage
from realign_planner.volume import Volume

Basis = Literal["measured", "expected from the plan"]

MIN_UNITS: Final = 10  # fewer say nothing: one of them alone may be as long as three others


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a stage did in the pilot: units that engines computed, and how long an engine was busy with them."""

    units: int
    seconds: float  # of engine time, loading and waiting apart; where several engines compute, the mean of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Seconds to the end, what they rest on, and the estimate of each stage as a document."""

    eta_s: float
    basis: Basis
    stages: tuple[dict[str, Any], ...]


def forecast(
    stages: Sequence[Stage],
    *,
    volume: Volume,
    predicted: Sequence[Mapping[str, Any]],
    paces: Mapping[str, Pace],
    slots: int,
) -> Forecast:
    """Expected seconds of each stage with their range: measured where the pilot computed enough, else the plan's.

    `slots` is how many units are computed at once, on all engines. A pilot does not fill them, so what it measured
    gives bounds: a unit of the run takes no longer than one of the pilot did, and a full batch is no faster than the
    pilot's few units were together. The plan's figure stands between those two, else the nearer one does. A stage that
    the pilot did not measure has the plan's prediction times the factor by which the measured ones missed theirs. The
    whole counts as measured when any stage was.
    """
    planned = {stage["stage"]: float(stage["expected_s"]) for stage in predicted}
    training = {stage["stage"]: float(stage.get("training_s", 0.0)) for stage in predicted}
    measured = {
        stage.name: _within(planned.get(stage.name, 0.0), _bounds(stage, pace, volume, slots))
        for stage in stages
        if stage.operations
        and not stage.trains
        and (pace := paces.get(stage.name)) is not None
        and pace.units >= MIN_UNITS
    }
    expected_by_plan = sum(planned.get(name, 0.0) for name in measured)
    factor = sum(measured.values()) / expected_by_plan if expected_by_plan else 1.0
    estimates = tuple(
        _estimate(stage, volume, measured[stage.name], 0.0, "measured")
        if stage.name in measured
        else _estimate(
            stage,
            volume,
            planned.get(stage.name, 0.0) * factor,
            training.get(stage.name, 0.0) * factor,
            "expected from the plan",
        )
        for stage in stages
    )
    return Forecast(
        eta_s=sum(estimate["expected_s"] for estimate in estimates),
        basis="measured" if measured else "expected from the plan",
        stages=estimates,
    )


def _bounds(stage: Stage, pace: Pace, volume: Volume, slots: int) -> tuple[float, float]:
    """Seconds of the stage if every batch took as long as the pilot's did, and if every unit did."""
    units = _units(stage, volume)
    at_unit_pace = pace.seconds * units / pace.units
    at_batch_pace = pace.seconds * _batches(stage, units, slots) / _batches(stage, pace.units, slots)
    return min(at_batch_pace, at_unit_pace), at_unit_pace


def _batches(stage: Stage, units: int, slots: int) -> int:
    """Operations follow each other, so each has a batch of its own at least."""
    return max(len(stage.operations), math.ceil(units / slots))


def _within(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(max(value, low), high)


def _units(stage: Stage, volume: Volume) -> int:
    return sum(operation.units(volume) for operation in stage.operations)


def _estimate(stage: Stage, volume: Volume, expected_s: float, training_s: float, basis: Basis) -> dict[str, Any]:
    fastest, slowest = RANGES["measured" if basis == "measured" else "prior"]
    return {
        "stage": stage.name,
        "units": _units(stage, volume),
        "expected_s": expected_s,
        "low_s": expected_s * fastest,
        "high_s": expected_s * slowest,
        "training_units": sum(operation.units(volume) for operation in stage.operations if operation.kind == "train"),
        "training_s": training_s,
        "basis": basis,
    }
