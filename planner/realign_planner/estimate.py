"""The estimate: how long the stages of a job should take on its placements, every unit counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from realign_planner.placement import Placement
from realign_planner.plan import Basis, Prediction, Role, StageEstimate
from realign_planner.stage import Operation, OperationKind, Stage
from realign_planner.volume import Volume

# How far a stage may end from its expected time. One unit counts as one example, while real units differ about twofold
# either way in length; a prior is off by up to as much again (own choice, until the pilot has measured).
RANGES: Final[dict[Basis, tuple[float, float]]] = {"measured": (0.5, 2.0), "prior": (0.25, 4.0)}

# Of template sets that are far shorter than what was measured. The pocket model's benchmark has 64 tokens of prompt and
# 32 of answer, its units some 30 tokens in all. Engine time of each kind of unit over that of a benchmark's example, in
# all four examples of the repository, seed 0 (2 cores, 2026-11-23): 0.27-0.64, 0.18-0.38, 0.19-0.21, 0.6-1.4.
UNIT_COSTS: Final[Mapping[str, Mapping[OperationKind, float]]] = MappingProxyType(
    {"pocket": {"generate": 0.35, "judge": 0.22, "score": 0.21, "train": 0.8}}
)


def predict(stages: Sequence[Stage], volume: Volume, placements: Mapping[Role, Placement]) -> Prediction:
    """Time of each stage and of all, one after the other; the speed is that of the target's placement."""
    estimates = tuple(_stage(stage, volume, placements) for stage in stages)
    return Prediction(
        examples_per_s=placements["target"].examples_per_s,
        makespan_s=sum(estimate.expected_s for estimate in estimates),
        stages=estimates,
    )


def _stage(stage: Stage, volume: Volume, placements: Mapping[Role, Placement]) -> StageEstimate:
    seconds = {one: _seconds(one, volume, placements[one.role]) for one in stage.operations}
    expected_s = sum(seconds.values())
    measured = all(placements[operation.role].basis == "measured" for operation in stage.operations)
    basis: Basis = "measured" if measured else "prior"
    fastest, slowest = RANGES[basis]
    return StageEstimate(
        stage=stage.name,
        units=sum(operation.units(volume) for operation in stage.operations),
        tokens=sum(operation.tokens(volume) for operation in stage.operations),
        expected_s=expected_s,
        low_s=expected_s * fastest,
        high_s=expected_s * slowest,
        trainings=sum(operation.trainings for operation in stage.training),
        training_units=sum(operation.units(volume) for operation in stage.training),
        training_s=sum(seconds[operation] for operation in stage.training),
        basis=basis,
    )


def _seconds(operation: Operation, volume: Volume, placement: Placement) -> float:
    rate = placement.training_examples_per_s if operation.kind == "train" else placement.examples_per_s
    return operation.units(volume) * unit_cost(operation.kind, placement.templates) / rate


def unit_cost(kind: OperationKind, templates: str) -> float:
    """How many examples of a benchmark a unit counts as."""
    return UNIT_COSTS.get(templates, {}).get(kind, 1.0)
