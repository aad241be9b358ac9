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
        stage("ask", state="done", total=100, done=100, computed=100),
        stage("judge", state="running", total=100),
        predicted=predicted,
        worked_s=60.0,
    )
    assert eta_s(record, 0.0) == pytest.approx(140.0)


def test_a_job_that_has_just_begun_takes_what_was_predicted_and_what_the_pilot_found_wins_over_the_plan() -> None:
    record = running(stage("ask"), predicted=[estimate("ask", expected_s=30)], worked_s=4.0)
    assert eta_s(record, 0.0) == pytest.approx(30.0)
    record.pilot = {"stages": [estimate("ask", expected_s=44)]}
    assert eta_s(record, 0.0) == pytest.approx(44.0)


@pytest.mark.parametrize(("done", "at_most_s"), [(1, 110.0), (10, 160.0), (50, 450.0)])
def test_what_starting_up_took_says_the_less_the_less_is_done(done: int, at_most_s: float) -> None:
    record = running(
        stage("ask", state="running", total=1000, done=done, computed=done),
        predicted=[estimate("ask", units=1000, expected_s=100)],
        worked_s=60.0,
    )
    assert 90.0 < (eta_s(record, 0.0) or 0.0) < at_most_s


def test_a_stage_that_orders_bit_by_bit_is_not_nearly_done_after_its_first_order() -> None:
    asking = stage("ask", state="running", total=25, done=25, computed=25)
    record = running(asking, predicted=[estimate("ask", expected_s=30)], worked_s=5.0)
    assert eta_s(record, 0.0) == pytest.approx(15.0)


def test_a_stage_that_was_ordered_more_than_predicted_or_is_done_with_less_counts_as_it_is() -> None:
    predicted = [estimate("ask", expected_s=100), estimate("judge", expected_s=100)]
    asking = stage("ask", state="running", total=400, done=100, computed=100)
    record = running(asking, stage("judge"), predicted=predicted, worked_s=100.0)
    assert eta_s(record, 0.0) == pytest.approx(400.0)
    asking.total, asking.state = 100, "done"
    asking.done = asking.computed = 50
    record.worked_s = 50.0
    assert eta_s(record, 0.0) == pytest.approx(100.0)


def test_a_training_counts_by_its_steps_and_never_makes_the_rest_longer() -> None:
    predicted = [estimate("train", expected_s=100, units=1100, trainings=1, training_units=1000, training_s=90)]
    record = running(stage("train", state="running"), predicted=predicted, worked_s=45.0)
    now = record.stages[0]
    now.total, now.trainings, now.part = 1, 1, 0.5
    half = eta_s(record, 0.0)
    now.done, now.trained, now.part, now.total = 1, 1, 0.0, 101  # it is over, and what it changed is asked
    record.worked_s = 90.0
    assert (half, eta_s(record, 0.0)) == (pytest.approx(55.0), pytest.approx(10.0))


def test_a_training_that_others_will_follow_is_not_all_there_is_to_train() -> None:
    two = {"trainings": 2, "training_units": 100, "training_s": 1000}
    record = running(
        stage("train", state="running", total=1, trainings=1, part=0.5),
        stage("judge"),
        predicted=[estimate("train", expected_s=1000, **two), estimate("judge", expected_s=500)],
        worked_s=250.0,
    )
    assert eta_s(record, 0.0) == pytest.approx(1250.0)
    now = record.stages[0]
    now.done, now.trained, now.part = 1, 1, 0.0
    record.worked_s = 500.0
    before = eta_s(record, 0.0)
    now.total, now.trainings = 2, 2
    assert before == eta_s(record, 0.0) == pytest.approx(1000.0)


def test_what_was_remembered_and_what_an_earlier_run_took_count_for_nothing() -> None:
    predicted = [
        estimate("ask", units=1000, expected_s=1000),
        estimate("train", expected_s=50, units=1000, trainings=1, training_units=1000, training_s=50),
        estimate("judge", expected_s=30),
    ]
    record = running(
        stage("ask", state="done", total=800, done=800, remembered=800),  # fewer than predicted
        stage("train", state="done", total=1, done=1, trainings=1, trained_before=1),
        stage("judge", state="running", total=100, done=80, computed=20, remembered=60),
        predicted=predicted,
        worked_s=1012.0,
        worked_before_s=1000.0,
    )
    assert eta_s(record, 0.0) == pytest.approx(12.0), "twice as long as predicted: 6 s for 20 units, and 20 are left"


def test_a_stage_that_starts_over_for_more_prompts_has_done_what_it_has_done() -> None:
    predicted = [estimate("ask", expected_s=100), estimate("judge", expected_s=1000)]
    asking = stage("ask", state="running", total=100, done=100, computed=100)
    record = running(asking, stage("judge"), predicted=predicted, worked_s=100.0)
    before = eta_s(record, 0.0)
    asking.total, asking.done = 150, 100  # it begins again, and what it asked before is there
    assert (before, eta_s(record, 0.0)) == (pytest.approx(1000.0), pytest.approx(1050.0))


def test_a_clock_that_is_set_back_makes_nothing_negative() -> None:
    asking = stage("ask", state="running", total=100, done=50, computed=50)
    record = running(asking, predicted=[estimate("ask", expected_s=100)], worked_s=0.0, worked_before_s=20.0)
    record.started_unix_s = 1000.0
    assert (eta_s(record, 10.0), record.worked_for_s(10.0)) == (0.0, 0.0)


@pytest.mark.parametrize("state", ["queued", "pilot", "paused", "completed"])
def test_a_job_that_does_not_run_has_none(state: Any) -> None:
    record = running(stage("ask"), predicted=[estimate("ask", expected_s=30)], worked_s=0.0)
    record.state = state
    assert eta_s(record, 0.0) is None
