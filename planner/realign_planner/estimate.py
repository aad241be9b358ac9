"""The estimate: how long the stages of a job should take on its placements, every unit counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from realign_planner.placement import Placement
from realign_planner.plan import Basis, Prediction, Role, StageEstimate
from realign_planner.stage import Operation, Stage

# How far a stage may end from its expected time. One unit counts as one example, while real units differ about twofold
# either way in length; a prior is off by up to as much again (own choice, until the pilot has measured).
RANGES: Final[dict[Basis, tuple[float, float]]] = {"measured": (0.5, 2.0), "prior": (0.25, 4.0)}


def predict(stages: Sequence[Stage], rows: int, placements: Mapping[Role, Placement]) -> Prediction:
    """Time of each stage and of all, one after the other; the speed is that of the target's placement."""
    estimates = tuple(_stage(stage, rows, placements) for stage in stages)
    return Prediction(
        examples_per_s=placements["target"].examples_per_s,
        makespan_s=sum(estimate.expected_s for estimate in estimates),
        stages=estimates,
    )


def _stage(stage: Stage, rows: int, placements: Mapping[Role, Placement]) -> StageEstimate:
    expected_s = sum(_seconds(operation, rows, placements[operation.role]) for operation in stage.operations)
    measured = all(placements[operation.role].basis == "measured" for operation in stage.operations)
    basis: Basis = "measured" if measured else "prior"
    fastest, slowest = RANGES[basis]
    return StageEstimate(
        stage=stage.name,
        units=sum(operation.units(rows) for operation in stage.operations),
        tokens=sum(operation.tokens(rows) for operation in stage.operations),
        expected_s=expected_s,
        low_s=expected_s * fastest,
        high_s=expected_s * slowest,
        basis=basis,
    )


def _seconds(operation: Operation, rows: int, placement: Placement) -> float:
    rate = placement.training_examples_per_s if operation.kind == "train" else placement.examples_per_s
    return operation.units(rows) / rate
