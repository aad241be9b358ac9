"""ETA: when a job that runs should be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realign_daemon.curation.record import JobRecord, StageRecord

SURE_FRACTION = (
    0.1  # of the work; before so much is done, how long it took counts the less the less is done (own choice)
)


def eta_s(record: JobRecord, now_unix_s: float) -> float | None:
    """Seconds to the end if the rest goes as pilot or plan predicted, scaled by how the finished part went.

    None of a job that does not run, or has no prediction. What is counted is what this run computes: units whose
    results were there already took no time and say nothing about the others, and the time before it is not its own.
    """
    if record.state != "running":
        return None
    predicted: Mapping[str, Any] = record.pilot or (record.plan or {}).get("predicted") or {}
    estimates = {estimate["stage"]: estimate for estimate in predicted.get("stages", [])}
    works = [_work_s(stage, estimates[stage.name]) for stage in record.stages if stage.name in estimates]
    total_s, done_s = sum(total for total, _ in works), sum(done for _, done in works)
    if total_s <= 0.0:
        return None
    took_s = max(0.0, record.worked_for_s(now_unix_s) - record.worked_before_s)
    weight = min(1.0, done_s / total_s / SURE_FRACTION) ** 2
    pace = 1.0 - weight + weight * took_s / done_s if done_s > 0.0 else 1.0
    return (total_s - done_s) * pace


def _work_s(stage: StageRecord, estimate: Mapping[str, Any]) -> tuple[float, float]:
    """Expected seconds of all that the stage computes in this run, and of what it has computed of that.

    A training is one unit, and most of its stage: it counts by its steps, for what it was predicted to take. What else
    the stage does, it orders bit by bit: as many units are expected as were predicted, or ordered if those are more.
    """
    training_s = estimate.get("training_s", 0.0)
    units = max(estimate["units"] - estimate.get("training_units", 0), 1)
    unit_s = (estimate["expected_s"] - training_s) / units
    trainings = max(stage.trainings, estimate.get("trainings", 1), 1)
    trained_s = (stage.trained + stage.part) * training_s / trainings
    done_s = stage.computed * unit_s + trained_s
    if stage.state == "done":
        return done_s, done_s
    in_training = stage.trainings - stage.trained - stage.trained_before
    ordered = stage.total - stage.done - in_training
    to_compute = max(units - stage.remembered, stage.computed + ordered)
    to_train_s = (trainings - stage.trained_before) * training_s / trainings
    return to_compute * unit_s + to_train_s, done_s
