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
    found = forecast(
        [stage("ask"), stage("train", trains=True), stage("evaluate")],
        volume=Volume(passages=0, rows=200),
        predicted=[
            {"stage": name, "expected_s": seconds}
            for name, seconds in (("ask", by_plan_s), ("train", 60.0), ("evaluate", 15.0))
        ],
        paces={"ask": Pace(units=20, seconds=5.0)},
        slots=40,
    )
    factor = expected_s / by_plan_s
    assert [(one["stage"], one["expected_s"], one["basis"]) for one in found.stages] == [
        ("ask", expected_s, "measured"),
        ("train", 60.0 * factor, "expected from the plan"),
        ("evaluate", 15.0 * factor, "expected from the plan"),
    ]
    assert all(one["low_s"] < one["expected_s"] < one["high_s"] for one in found.stages)
    assert (found.eta_s, found.basis) == (expected_s + 75.0 * factor, "measured")


def test_a_pilot_that_fills_its_batches_leaves_no_doubt() -> None:
    found = forecast(
        [stage("ask")],
        volume=Volume(passages=0, rows=200),
        predicted=[{"stage": "ask", "expected_s": 1.0}],
        paces={"ask": Pace(units=20, seconds=5.0)},
        slots=1,
    )
    assert found.eta_s == 50.0


@pytest.mark.parametrize(
    "pace",
    [
        {},
        {"ask": Pace(units=0, seconds=0.0)},  # all of it was remembered
        {"ask": Pace(units=MIN_UNITS - 1, seconds=9.0)},
        {"free": Pace(units=40, seconds=1.0)},  # it does no work that the plan counts
    ],
)
def test_where_the_pilot_measured_nothing_the_plan_stands_and_says_so(pace: dict[str, Pace]) -> None:
    stages = [stage("ask"), Stage(name="free", title="free", gates=())]
    found = forecast(
        stages, volume=Volume(passages=0, rows=10), predicted=[{"stage": "ask", "expected_s": 7.0}], paces=pace, slots=8
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
