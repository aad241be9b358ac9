"""ETA: when a job that runs should be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realign_daemon.curation.record import JobRecord, StageRecord

SURE_FRACTION = 0.1  # done; before that, how long it took counts the less the less is done (own choice)


def eta_s(record: JobRecord, now_unix_s: float) -> float | None:
    """Seconds to the end if the rest goes as pilot or plan predicted, scaled by how the finished part went.

    None of a job that does not run, or has no prediction. Units whose results were there already took no time and say
    nothing about the others: they are left out of both.
    """
    predicted: Mapping[str, Any] = record.pilot or (record.plan or {}).get("predicted") or {}
    estimates = {estimate["stage"]: estimate for estimate in predicted.get("stages", [])}
    if record.state != "running":
        return None
    total_s = done_s = 0.0
    for stage in record.stages:
        if stage.name in estimates:
            stage_total_s, stage_done_s = _work_s(stage, estimates[stage.name])
            total_s += stage_total_s
            done_s += stage_done_s
    if total_s <= 0.0:
        return None
    took_s = record.worked_for_s(now_unix_s) - record.worked_before_s
    weight = min(1.0, done_s / total_s / SURE_FRACTION)
    pace = 1.0 - weight + weight * took_s / done_s if done_s > 0.0 else 1.0
    return (total_s - done_s) * pace


def _work_s(stage: StageRecord, estimate: Mapping[str, Any]) -> tuple[float, float]:
    """Expected seconds of what the stage has to do by itself, and of what it has done of that.

    A training is one unit, and most of its stage: it counts by its steps, for what it was predicted to take. What else
    the stage does, it orders bit by bit: as many units are expected as were predicted, or ordered if those are more.
    """
    training_s = estimate.get("training_s", 0.0)
    rest_s = estimate["expected_s"] - training_s
    units = max(stage.total - stage.trainings, estimate["units"] - estimate.get("training_units", 0), 1)
    trainings = max(stage.trainings, 1)
    own = 1.0 - (stage.remembered - stage.trained_before) / units
    own_training = 1.0 - stage.trained_before / trainings
    total_s = rest_s * own + training_s * own_training
    if stage.state == "done":
        return total_s, total_s
    done = (stage.done - int(stage.trained)) / units
    trained = stage.trained / trainings
    return total_s, rest_s * (done - 1.0 + own) + training_s * (trained - 1.0 + own_training)
