"""The pilot's forecast: how long the stages will take, from how long they took for a few items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from realign_planner.estimate import RANGES
from realign_planner.stage import Stage
from realign_planner.volume import Volume

Basis = Literal["measured", "expected from the plan"]

MIN_UNITS: Final = 10  # fewer do not fill a batch: their time is mostly waiting, which a run does not multiply


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a stage did in the pilot: units that it had computed, and seconds from its begin to its end."""

    units: int  # those that were remembered took no time and do not count
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Seconds to the end, what they rest on, and the estimate of each stage as a document."""

    eta_s: float
    basis: Basis
    stages: tuple[dict[str, Any], ...]


def forecast(
    stages: Sequence[Stage], *, volume: Volume, predicted: Sequence[Mapping[str, Any]], paces: Mapping[str, Pace]
) -> Forecast:
    """Expected seconds of each stage with their range: measured where the pilot computed enough, else the plan's.

    A stage that the pilot measured keeps its seconds a unit: batches are fuller in the run, so it may be faster. The
    others have the plan's prediction times the factor by which the measured stages missed theirs. The whole counts as
    measured when any stage was.
    """
    planned = {stage["stage"]: float(stage["expected_s"]) for stage in predicted}
    measured = {
        stage.name: pace.seconds / pace.units * _units(stage, volume)
        for stage in stages
        if stage.operations
        and not stage.trains
        and (pace := paces.get(stage.name)) is not None
        and pace.units >= MIN_UNITS
    }
    expected_by_plan = sum(planned.get(name, 0.0) for name in measured)
    factor = sum(measured.values()) / expected_by_plan if expected_by_plan else 1.0
    estimates = tuple(
        _estimate(stage, volume, measured[stage.name], "measured")
        if stage.name in measured
        else _estimate(stage, volume, planned.get(stage.name, 0.0) * factor, "expected from the plan")
        for stage in stages
    )
    return Forecast(
        eta_s=sum(estimate["expected_s"] for estimate in estimates),
        basis="measured" if measured else "expected from the plan",
        stages=estimates,
    )


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
