"""Self-test: every kind of planted defect is found by the check that is there for it, and nothing in what is good."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from realign_daemon.curation.material import Material
from realign_daemon.curation.metrics.preference import Verdict
from realign_daemon.curation.selftest.defect import Check, Defect
from realign_daemon.curation.selftest.suite import DEFECTS, self_test
from realign_daemon.curation.selftest.trial import Trial
from realign_planner.data_types import DataType
from realign_planner.workflow import for_type

if TYPE_CHECKING:
    from conftest import MakeRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted(Check):
    """Says the same of every trial, or breaks."""

    says: str | None = ""

    async def fires(self, trial: Trial) -> str:
        if self.says is None:
            raise RuntimeError(self.name)
        return self.says


def looked_at_by(defects: Sequence[Defect], says: str | None) -> list[Defect]:
    """The defects with checks that only pretend to look."""
    return [
        replace(one, check=Scripted(stage=one.check.stage, name=one.check.name, whole=one.check.whole, says=says))
        for one in defects
    ]


@pytest.mark.parametrize("data_type", DEFECTS)
async def test_every_defect_is_detected_and_nothing_good_is(data_type: DataType, good_run: MakeRun) -> None:
    run = await good_run(data_type)

    found = await self_test(run.desk, run.material, run.stages)

    assert {one["name"]: one["why"] for one in found["defects"] if not one["detected"]} == {}
    assert found["planted"] == found["detected"] == len(DEFECTS[data_type])
    assert (found["detection_rate"], found["false_alarms"]) == (1.0, 0)


def test_there_are_many_kinds_of_defects_and_every_stage_has_one() -> None:
    kinds = {defect.name for defects in DEFECTS.values() for defect in defects}
    assert len(kinds) >= 45
    for data_type, defects in DEFECTS.items():
        assert len({defect.name for defect in defects}) == len(defects) >= 20
        stages = {stage.name for stage in for_type(data_type).stages}
        assert {defect.check.stage for defect in defects} == stages


def test_every_gate_of_every_workflow_has_a_defect_but_one_that_is_the_same_elsewhere() -> None:
    for data_type, defects in DEFECTS.items():
        gates = {(stage.name, gate) for stage in for_type(data_type).stages for gate in stage.gates}
        tested = {(defect.check.stage, defect.check.name) for defect in defects}
        assert gates - tested <= {("sft_baseline", "training_loss"), ("refusal_data_generation", "valid_fraction")}


@pytest.mark.parametrize("data_type", DEFECTS)
async def test_a_check_that_accepts_everything_detects_nothing(data_type: DataType, good_run: MakeRun) -> None:
    run = await good_run(data_type)
    found = await self_test(run.desk, run.material, run.stages, defects=looked_at_by(DEFECTS[data_type], ""))
    assert (found["planted"], found["detected"], found["false_alarms"]) == (len(DEFECTS[data_type]), 0, 0)


async def test_a_check_that_rejects_everything_is_a_false_alarm_and_detects_nothing(good_run: MakeRun) -> None:
    run = await good_run("dpo")
    found = await self_test(run.desk, run.material, run.stages, defects=looked_at_by(DEFECTS["dpo"], "bad"))
    checks = {(defect.check.stage, defect.check.name) for defect in DEFECTS["dpo"]}
    assert (found["detected"], found["false_alarms"]) == (0, len(checks))


async def test_a_check_that_breaks_is_reported_and_costs_nothing_else(good_run: MakeRun) -> None:
    run = await good_run("dpo")
    with capture_logs() as logged:
        found = await self_test(run.desk, run.material, run.stages, defects=looked_at_by(DEFECTS["dpo"][:1], None))
    assert [(one["detected"], one["why"]) for one in found["defects"]] == [
        (False, "the check broke over it: the daemon's log has the details")
    ]
    assert [one["event"] for one in logged] == ["selftest.crashed"] * 2


async def test_a_gate_that_somebody_opened_no_longer_detects(good_run: MakeRun) -> None:
    run = await good_run("dpo", settings={"agreement_rate.medium": "0", "preference_gap.medium": "-1"})
    found = await self_test(run.desk, run.material, run.stages)
    assert {one["name"] for one in found["defects"] if one["detected"] is False} == {
        "a judge that always says A",
        "a judge that always sees a tie",
        "a judge that draws lots",
        "swapped labels",
    }


def agrees(forth: Verdict, back: Verdict) -> bool:
    return forth in "ABT" and back in "ABT"


async def test_what_was_broken_in_the_code_is_found(good_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await good_run("dpo")
    monkeypatch.setattr("realign_daemon.curation.material.is_consistent", agrees)
    monkeypatch.setattr("realign_daemon.curation.stages.hygiene.CONTAMINATED", 1.1)
    found = await self_test(run.desk, run.material, run.stages)
    assert {one["name"] for one in found["defects"] if one["detected"] is False} == {
        "a judge that always says A",
        "a judge that always sees a tie",
        "a judge that draws lots",
        "an evaluation item asked as a question",
        "an evaluation item in a row",
    }
    assert found["false_alarms"] == 0


@pytest.mark.parametrize("data_type", DEFECTS)
async def test_the_job_stays_as_it_is_and_nothing_is_asked(data_type: DataType, good_run: MakeRun) -> None:
    run = await good_run(data_type)
    before, record = pickle.dumps(run.material), copy.deepcopy(run.desk.record)
    asked = len(run.desk.tasks)

    first = await self_test(run.desk, run.material, run.stages)

    assert pickle.loads(before) == run.material
    assert (run.desk.record, len(run.desk.tasks)) == (record, asked)
    assert await self_test(run.desk, run.material, run.stages) == first


async def test_a_job_that_was_blocked_is_tested_as_far_as_it_came(good_run: MakeRun) -> None:
    run = await good_run(
        "dpo", until="score_pairs", settings={"agreement_rate.high": "1.1", "agreement_rate.medium": "1.1"}
    )

    found = await self_test(run.desk, run.material, run.stages)

    assert {one["stage"] for one in found["defects"]} == {"sft_baseline", "generate_responses", "score_pairs"}
    assert {one["name"]: one["why"] for one in found["defects"] if one["detected"] is None} == dict.fromkeys(
        ("a judge that always says A", "a judge that always sees a tie", "a judge that draws lots"),
        "not applicable: its check speaks against the job itself",
    )
    assert (found["detection_rate"], found["false_alarms"]) == (1.0, 0)


async def test_what_a_job_has_nothing_for_is_not_counted(good_run: MakeRun) -> None:
    run = await good_run("sft", until="data_prep")
    stages = [stage.name for stage in for_type("sft").stages]

    found = await self_test(run.desk, Material(), stages)

    assert {one["detected"] for one in found["defects"]} == {None}
    assert all(one["why"].startswith("not applicable: ") for one in found["defects"])
    assert (found["planted"], found["detection_rate"], found["false_alarms"]) == (0, None, 0)


async def test_gates_that_rest_on_too_little_to_reject_count_for_nothing(good_run: MakeRun) -> None:
    run = await good_run("antihallucination", settings={"calibration_error.min_n": "5000"})
    found = await self_test(run.desk, run.material, run.stages)
    assert [one["name"] for one in found["defects"] if one["detected"] is None] == ["confidence that is far off"]
    assert found["detection_rate"] == 1.0
