"""The four workflows as data."""

from __future__ import annotations

from typing import Any

import pytest

from realign_planner.data_types import DATA_TYPES, DataType, as_data_type
from realign_planner.stage import Operation
from realign_planner.volume import Volume, volume_of
from realign_planner.workflow import for_type, stage_index

TITLES: dict[DataType, tuple[str, ...]] = {
    "dpo": (
        "SFT baseline",
        "Generate responses",
        "Score pairs",
        "Validate gaps",
        "Train DPO",
        "Evaluate",
        "Monitor regression",
    ),
    "sft": ("Data prep", "Quality filter", "Format conversion", "Train", "Validate", "Evaluate", "Deploy"),
    "rlvr": (
        "Problem extraction",
        "Solution generation",
        "Verification",
        "Reward calculation",
        "Training",
        "Validation",
        "Evaluation",
    ),
    "antihallucination": (
        "Refusal data generation",
        "Uncertainty calibration",
        "Confidence scoring",
        "Training",
        "Calibration",
        "Validation",
        "Evaluation",
    ),
}


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_a_workflow_has_its_seven_stages_named_after_their_titles(data_type: DataType) -> None:
    stages = for_type(data_type).stages
    assert tuple(stage.title for stage in stages) == TITLES[data_type]
    assert [stage.name for stage in stages] == [stage.title.lower().replace(" ", "_") for stage in stages]


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_a_pilot_is_the_stages_before_the_training_that_the_workflow_is_for(data_type: DataType) -> None:
    workflow = for_type(data_type)
    pilot = workflow.pilot_stages
    assert pilot == workflow.stages[: len(pilot)]
    assert workflow.stages[len(pilot)].trains


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_a_stage_that_trains_counts_training_rows(data_type: DataType) -> None:
    for stage in for_type(data_type).stages:
        assert stage.trains == any(operation.kind == "train" for operation in stage.operations)


def test_a_stage_is_found_by_name() -> None:
    assert stage_index("dpo", "validate_gaps") == 3
    assert stage_index("dpo", "deploy") is None
    assert [stage.name for stage in for_type("sft").up_to("quality_filter")] == ["data_prep", "quality_filter"]
    assert len(for_type("sft").up_to(None)) == 7


def test_units_are_rounded_up_and_fixed_ones_do_not_grow() -> None:
    operation = Operation(
        kind="judge", role="judge", per_row=1.5, fixed=10, prompt_tokens=90, output_tokens=10, what=""
    )
    assert [operation.units(Volume(passages=0, rows=rows)) for rows in (0, 1, 2)] == [10, 12, 13]
    assert operation.tokens(Volume(passages=0, rows=2)) == 1300


def test_a_job_that_says_how_many_samples_it_takes_has_so_many_and_a_training_no_more_than_its_steps() -> None:
    probe = Operation(kind="generate", role="target", per_passage=1.5, samples=8, prompt_tokens=1, what="")
    train = Operation(kind="train", role="target", per_row=4, most=30, prompt_tokens=1, what="")
    assert probe.units(Volume(passages=10, rows=0)) == 120
    assert probe.units(Volume(passages=10, rows=0, samples=4)) == 60
    assert [train.units(Volume(passages=0, rows=rows, samples=4)) for rows in (5, 50)] == [20, 30]


@pytest.mark.parametrize(
    ("said", "passages", "rows"),
    [
        ({"passages": 90}, 90, 30),
        ({"passages": 900, "count": 10}, 130, 10),  # three prompts for each row, and a hundred to hold out
        ({"passages": 40, "count": 50}, 40, 40),
        ({"passages": 40, "count": 10, "has_rows": True}, 40, 10),  # what is there is all used
        ({"count": 10}, 130, 10),
        ({"count": 10, "has_rows": True}, 10, 10),
        ({}, 3100, 1000),
    ],
)
def test_the_volume_of_a_job_follows_from_the_rows_wanted_and_the_passages_there(
    said: dict[str, Any], passages: int, rows: int
) -> None:
    asked: dict[str, Any] = {"count": None} | said
    assert volume_of(**asked) == Volume(passages=passages, rows=rows)


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_each_of_several_judges_is_asked_all_that_one_would_be_and_nobody_else_does_more(data_type: DataType) -> None:
    def units(judges: int, *, of_judges: bool) -> int:
        stages = for_type(data_type).judged_by(judges).stages
        found = (one for stage in stages for one in stage.operations)
        return sum(one.units(Volume(passages=1000, rows=30)) for one in found if (one.role == "judge") == of_judges)

    assert for_type(data_type).judged_by(1) == for_type(data_type)
    assert units(3, of_judges=True) == 3 * units(1, of_judges=True)
    assert units(3, of_judges=False) == units(1, of_judges=False) > 0


@pytest.mark.parametrize(
    ("text", "data_type"),
    [("DPO", "dpo"), ("srf", "sft"), ("Anti-Hallucination", "antihallucination"), (" rlvr ", "rlvr"), ("ppo", None)],
)
def test_a_data_type_is_read_from_any_spelling(text: str, data_type: DataType | None) -> None:
    assert as_data_type(text) == data_type
