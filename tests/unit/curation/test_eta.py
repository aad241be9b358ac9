"""The ETA of a job that runs."""

from __future__ import annotations

from typing import Any

import pytest

from realign_daemon.curation.eta import eta_s
from realign_daemon.curation.record import JobRecord, StageRecord


def estimate(stage: str, *, expected_s: float, units: int = 100, **training: float) -> dict[str, Any]:
    return {"stage": stage, "units": units, "expected_s": expected_s, **training}


def running(*stages: StageRecord, predicted: list[dict[str, Any]], worked_s: float, **changes: Any) -> JobRecord:
    record = JobRecord(state="running", stages=list(stages), plan={"predicted": {"stages": predicted}}, **changes)
    record.worked_s = worked_s
    return record


def stage(name: str, **changes: Any) -> StageRecord:
    return StageRecord(name=name, title=name, **changes)


def test_the_rest_is_as_far_from_the_prediction_as_what_is_done() -> None:
    predicted = [estimate("ask", expected_s=30), estimate("judge", expected_s=70)]
    record = running(
        stage("ask", state="done", total=100, done=100),
        stage("judge", state="running", total=100, done=0),
        predicted=predicted,
        worked_s=60.0,
    )
    assert eta_s(record, 0.0) == pytest.approx(140.0)


def test_a_job_that_has_just_begun_takes_what_was_predicted_and_what_the_pilot_found_wins_over_the_plan() -> None:
    record = running(stage("ask"), predicted=[estimate("ask", expected_s=30)], worked_s=4.0)
    assert eta_s(record, 0.0) == pytest.approx(30.0)
    record.pilot = {"stages": [estimate("ask", expected_s=44)]}
    assert eta_s(record, 0.0) == pytest.approx(44.0)


def test_a_slow_beginning_says_little() -> None:
    record = running(
        stage("ask", state="running", total=1000, done=10), predicted=[estimate("ask", expected_s=100)], worked_s=9.0
    )
    assert 100 < (eta_s(record, 0.0) or 0.0) < 200, "it took nine times as long as predicted so far"


def test_a_stage_that_orders_bit_by_bit_is_not_nearly_done_after_its_first_order() -> None:
    record = running(
        stage("ask", state="running", total=25, done=25), predicted=[estimate("ask", expected_s=30)], worked_s=5.0
    )
    assert eta_s(record, 0.0) == pytest.approx(15.0)


def test_a_training_counts_by_its_steps_and_never_makes_the_rest_longer() -> None:
    predicted = [estimate("train", expected_s=100, units=1100, training_units=1000, training_s=90)]
    record = running(stage("train", state="running"), predicted=predicted, worked_s=45.0)
    now = record.stages[0]
    now.total, now.trainings, now.trained = 1, 1, 0.5
    half = eta_s(record, 0.0)
    now.done, now.trained, now.total = 1, 1.0, 101  # the training is over, and what it changed is asked
    record.worked_s = 90.0
    after = eta_s(record, 0.0)
    assert (half, after) == (pytest.approx(55.0), pytest.approx(10.0))


def test_what_was_remembered_and_what_an_earlier_run_took_count_for_nothing() -> None:
    predicted = [
        estimate("ask", expected_s=100),
        estimate("train", expected_s=50, units=1000, training_units=1000, training_s=50),
        estimate("judge", expected_s=30),
    ]
    record = running(
        stage("ask", state="done", total=100, done=100, remembered=80),
        stage("train", state="done", total=1, done=1, remembered=1, trainings=1, trained=1.0, trained_before=1),
        stage("judge"),
        predicted=predicted,
        worked_s=1040.0,
        worked_before_s=1000.0,
    )
    assert eta_s(record, 0.0) == pytest.approx(60.0)


@pytest.mark.parametrize("state", ["queued", "pilot", "paused", "completed"])
def test_a_job_that_does_not_run_has_none(state: Any) -> None:
    record = running(stage("ask"), predicted=[estimate("ask", expected_s=30)], worked_s=0.0)
    record.state = state
    assert eta_s(record, 0.0) is None
