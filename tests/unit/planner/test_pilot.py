"""The pilot's forecast."""

from __future__ import annotations

import pytest

from realign_planner.pilot import MIN_UNITS, Pace, forecast
from realign_planner.stage import Operation, Stage
from realign_planner.volume import Volume
from realign_planner.workflow import for_type


def stage(name: str, *, per_row: float = 1.0, trains: bool = False) -> Stage:
    operation = Operation(kind="judge", role="judge", per_row=per_row, prompt_tokens=1, what="it")
    return Stage(name=name, title=name, gates=(), trains=trains, operations=(operation,))


def pace(units: int, seconds: float, *, longest_s: float | None = None, engines: int = 1, slots: int = 40) -> Pace:
    longest_s = seconds if longest_s is None else longest_s
    return Pace(units=units, busy_s=seconds, longest_s=longest_s, engines=engines, slots=slots)


@pytest.mark.parametrize(
    ("by_plan_s", "expected_s"),
    [
        (30.0, 30.0),  # between five full batches as slow as the pilot's one was, and all units at the pilot's pace
        (90.0, 50.0),
        (3.0, 25.0),
    ],
)
def test_a_stage_that_the_pilot_went_through_is_as_planned_within_the_bounds_of_its_pace(
    by_plan_s: float, expected_s: float
) -> None:
    training = {"trainings": 1, "training_units": 50, "training_s": 40.0}
    found = forecast(
        [stage("ask"), stage("train", trains=True), stage("evaluate")],
        volume=Volume(passages=0, rows=200),
        predicted=[
            {"stage": "ask", "expected_s": by_plan_s},
            {"stage": "train", "expected_s": 60.0, **training},
            {"stage": "evaluate", "expected_s": 15.0},
        ],
        paces={"ask": pace(20, 5.0)},
    )
    factor = expected_s / by_plan_s
    assert [(one["stage"], one["expected_s"], one["basis"]) for one in found.stages] == [
        ("ask", expected_s, "measured"),
        ("train", 60.0 * factor, "expected from the plan"),
        ("evaluate", 15.0 * factor, "expected from the plan"),
    ]
    assert found.stages[1]["training_s"] == 40.0 * factor
    assert all(one["low_s"] < one["expected_s"] < one["high_s"] for one in found.stages)
    assert (found.eta_s, found.basis) == (expected_s + 75.0 * factor, "measured")


@pytest.mark.parametrize(
    ("measured", "least_s", "most_s"),
    [
        (pace(20, 5.0, slots=1), 50.0, 50.0),  # its batches were full
        (pace(20, 5.0, longest_s=2.5, engines=2, slots=80), 7.5, 25.0),
        (pace(20, 5.0, longest_s=5.0, engines=2, slots=80), 7.5, 50.0),  # one engine did it all
    ],
)
def test_the_bounds_are_those_of_the_engines_that_will_compute(measured: Pace, least_s: float, most_s: float) -> None:
    for by_plan_s, expected_s in ((0.01, least_s), (1e6, most_s)):
        found = forecast(
            [stage("ask")],
            volume=Volume(passages=0, rows=200),
            predicted=[{"stage": "ask", "expected_s": by_plan_s}],
            paces={"ask": measured},
        )
        assert found.eta_s == pytest.approx(expected_s)


@pytest.mark.parametrize(
    "paces",
    [
        {},
        {"ask": pace(0, 0.0)},  # all of it was remembered
        {"ask": pace(MIN_UNITS - 1, 9.0)},
        {"free": pace(40, 1.0)},  # it does no work that the plan counts
    ],
)
def test_where_the_pilot_measured_nothing_the_plan_stands_and_says_so(paces: dict[str, Pace]) -> None:
    stages = [stage("ask"), Stage(name="free", title="free", gates=())]
    found = forecast(
        stages, volume=Volume(passages=0, rows=10), predicted=[{"stage": "ask", "expected_s": 7.0}], paces=paces
    )
    assert [(one["expected_s"], one["basis"]) for one in found.stages] == [
        (7.0, "expected from the plan"),
        (0.0, "expected from the plan"),
    ]
    assert (found.eta_s, found.basis) == (7.0, "expected from the plan")


@pytest.mark.parametrize("data_type", ["dpo", "sft", "rlvr", "antihallucination"])
def test_every_workflow_has_a_pilot_that_ends_before_its_own_training(data_type: str) -> None:
    workflow = for_type(data_type)  # pyright: ignore[reportArgumentType] - the parameter is one of them
    first_without = next(place for place, one in enumerate(workflow.stages) if not one.pilot)
    assert [one.name for one in workflow.pilot_stages] == [one.name for one in workflow.stages[:first_without]]
    assert first_without > 0
    assert workflow.stages[first_without].trains
