"""Rows that somebody has already: the plan begins at the stage where they come in."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.unit.planner.builders import cluster, node, plan

from realign_planner.data_types import DataType
from realign_planner.plan import BadRequest, PlanRequest
from realign_planner.strategy import make_plan
from realign_planner.workflow import for_type

FACTS = cluster(node("a", 64))


@pytest.mark.parametrize("data_type", get_args(DataType))
def test_the_estimate_leaves_out_the_stages_that_would_make_the_rows(data_type: DataType) -> None:
    workflow = for_type(data_type)
    skipped = workflow.stage_index(workflow.entry)
    whole = plan("rows", FACTS, data_type=data_type, passages=500).predicted
    given = plan("rows", FACTS, data_type=data_type, passages=500, has_rows=True).predicted
    assert whole is not None
    assert given is not None
    assert given.stages == whole.stages[skipped:]
    assert given.makespan_s == pytest.approx(sum(stage.expected_s for stage in given.stages))


def test_a_job_that_ends_before_its_rows_come_in_is_refused_in_one_sentence() -> None:
    request = PlanRequest(text="pairs", data_type="dpo", has_rows=True, until="generate_responses")
    assert make_plan(request, FACTS) == BadRequest(
        message="--until generate_responses ends before score_pairs, where rows that you have come in; "
        "name that stage or a later one."
    )
    assert plan("pairs", FACTS, data_type="dpo", has_rows=True, until="score_pairs").fits
