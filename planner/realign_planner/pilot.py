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
    """What a stage did in the pilot. Engine time leaves out loading and waiting; a group counts as one engine."""

    units: int  # computed by engines
    busy_s: float  # engine time of them all
    longest_s: float  # of the engine that was busy longest
    engines: int  # that compute in the run
    slots: int  # units that those compute at once


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
) -> Forecast:
    """Expected seconds of each stage with their range: measured where the pilot computed enough, else the plan's.

    A pilot fills no batches, and may leave engines without work, so what it measured gives bounds: all engines
    together are no slower than the one that was busy longest, and a full batch is no faster than the pilot's few units
    were together. The plan's figure stands between those two, else the nearer one does. A stage that the pilot did not
    measure has the plan's prediction times the factor by which the measured ones missed theirs. The whole counts as
    measured when any stage was.
    """
    planned = {estimate["stage"]: estimate for estimate in predicted}
    by_plan_s = {stage.name: float(planned.get(stage.name, {}).get("expected_s", 0.0)) for stage in stages}
    measured_s = {
        stage.name: _within(by_plan_s[stage.name], _bounds(stage, pace, volume))
        for stage in stages
        if stage.operations
        and not stage.trains
        and (pace := paces.get(stage.name)) is not None
        and pace.units >= MIN_UNITS
    }
    of_measured_s = sum(by_plan_s[name] for name in measured_s)
    factor = sum(measured_s.values()) / of_measured_s if of_measured_s else 1.0
    estimates = tuple(
        _estimate(stage, volume, measured_s[stage.name], "measured")
        if stage.name in measured_s
        else _estimate(stage, volume, by_plan_s[stage.name] * factor, "expected from the plan")
        | _training(planned.get(stage.name, {}), factor)
        for stage in stages
    )
    return Forecast(
        eta_s=sum(estimate["expected_s"] for estimate in estimates),
        basis="measured" if measured_s else "expected from the plan",
        stages=estimates,
    )


def _training(by_plan: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """What a stage's trainings are of it, where it has any."""
    if not by_plan.get("trainings"):
        return {}
    return {
        "trainings": by_plan["trainings"],
        "training_units": by_plan["training_units"],
        "training_s": by_plan["training_s"] * factor,
    }


def _bounds(stage: Stage, pace: Pace, volume: Volume) -> tuple[float, float]:
    """Seconds of the stage if every batch took as long as the pilot's did, and if every unit did."""
    units = _units(stage, volume)
    at_unit_pace = pace.longest_s * units / pace.units
    batches, in_pilot = (_batches(stage, count, pace.slots) for count in (units, pace.units))
    return min(pace.busy_s / pace.engines * batches / in_pilot, at_unit_pace), at_unit_pace


def _batches(stage: Stage, units: int, slots: int) -> int:
    """Operations follow each other: each has a batch of its own at least. A pilot leaves out those of fixed size."""
    kinds = sum(bool(operation.per_passage or operation.per_row) for operation in stage.operations)
    return max(kinds, math.ceil(units / slots))


def _within(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(max(value, low), high)


def _units(stage: Stage, volume: Volume) -> int:
    return sum(operation.units(volume) for operation in stage.operations)


def _estimate(stage: Stage, volume: Volume, expected_s: float, basis: Basis) -> dict[str, Any]:
    fastest, slowest = RANGES["measured" if basis == "measured" else "prior"]
    return {
        "stage": stage.name,
        "units": _units(stage, volume),
        "expected_s": expected_s,
        "low_s": expected_s * fastest,
        "high_s": expected_s * slowest,
        "basis": basis,
    }
