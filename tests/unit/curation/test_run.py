"""Run: gates after every stage, more prompts for an undecided one, and a pilot before it all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.pilot import run_pilot
from realign_daemon.curation.record import StageRecord
from realign_daemon.curation.run import Course, run_stages
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.stages import prompts
from realign_daemon.curation.stages.measures import Measures, exact, rate
from realign_daemon.curation.stages.work import Work
from realign_daemon.engine.api import Generated, Sha256
from realign_daemon.errors import BadInput
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.scripted_desk import PIN, ScriptedDesk, asked, chunk
from realign_daemon.work.ledger import StoredResult
from realign_daemon.work.units import UnitKey
from realign_planner.volume import Volume
from realign_planner.workflow import for_type

WORKFLOW = for_type("dpo")
DATA = SourceSpec(name="d.jsonl", sha256=Sha256("d"), size_bytes=1)


def asks(task: Any) -> Generated:
    text = f"{asked(task)}="
    return Generated(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=0.0)


def computed(stage: str) -> StoredResult:
    return StoredResult(
        key=UnitKey(stage), kind="generated", result=b"", node="n", started_unix_s=1.0, busy_s=1.0, tokens=1
    )


class Stages:
    """A workflow whose gates read what a test says; it counts how often each stage ran, and on how many prompts."""

    def __init__(self, **measured: Callable[[int], Measures]) -> None:
        self.ran: list[tuple[str, int]] = []
        self.is_remembered = False  # whether its units have results already, which takes no time
        self._measured = measured

    def work(self) -> Work:
        return Work(stages={stage.name: self._stage(stage.name) for stage in WORKFLOW.stages}, enter=self._enter)

    def _stage(self, name: str) -> Callable[[Any, Material], Awaitable[Measures]]:
        async def run(desk: Any, material: Material) -> Measures:
            if name == "sft_baseline":
                material.chunks = [chunk(str(i), text=f"t{i}", section=str(i % 4)) for i in range(300)]
                await prompts.draw_prompts(desk, material)
            material.drop(name, "once", stage_ran=name)
            material.rows = [Row(fields={"id": "1"}, provenance={}, is_held_out=False)]
            self.ran.append((name, len(material.prompts)))
            desk.stage.total += len(material.prompts)
            desk.stage.done = desk.stage.total
            desk.stage.remembered = desk.stage.total if self.is_remembered else 0
            if not self.is_remembered:
                desk.record.count([computed(desk.stage.name)] * len(material.prompts), names={})
            gates = WORKFLOW.stages[[one.name for one in WORKFLOW.stages].index(name)].gates
            good: Measures = {
                metric: rate(metric, 1000 if metric not in ("truncated_fraction", "training_loss") else 0, 1000)
                for metric in gates
            }
            good |= exact("training_loss", -1.0, 10) if "training_loss" in gates else {}
            return good | self._measured.get(name, lambda _: {})(len(material.prompts))

        return run

    async def _enter(self, desk: Any, material: Material) -> str:
        desk.say("reading")
        material.prompts = []
        return "score_pairs"


def course(stages: Stages, answer: Callable[[Any], Generated] = asks, **changes: Any) -> tuple[Course, list[str]]:
    said: list[str] = []
    desk = ScriptedDesk(answer, **changes)
    desk.record.stages = [StageRecord(name=stage.name, title=stage.title) for stage in WORKFLOW.stages]
    made = Course(
        work=stages.work(),
        desk=desk,
        material=Material(),
        clock=ManualClock(),
        announce=lambda kind, _: said.append(kind),
    )
    return made, said


async def nothing() -> None:
    return None


async def test_a_gate_that_rejects_ends_the_job_there() -> None:
    stages = Stages(score_pairs=lambda _: {"agreement_rate": rate("agreement_rate", 10, 1000)})
    made, _ = course(stages)
    ending = await run_stages(made, checkpoint=nothing)
    assert [verdict.metric for verdict in ending.blocked_by] == ["agreement_rate"]
    assert [name for name, _ in stages.ran] == ["sft_baseline", "generate_responses", "score_pairs"]
    assert [stage.state for stage in made.desk.record.stages[:4]] == ["done", "done", "blocked", "waiting"]


async def test_an_undecided_gate_draws_more_prompts_until_it_is_decided() -> None:
    def agreement(n: int) -> Measures:
        return {"agreement_rate": rate("agreement_rate", n * 9 // 10, n) if n < 200 else rate("agreement_rate", n, n)}

    stages = Stages(score_pairs=agreement)
    made, said = course(stages, count=11)  # 133 prompts at first
    ending = await run_stages(made, checkpoint=nothing)
    assert not ending.blocked_by
    assert stages.ran[:6] == [
        ("sft_baseline", 133),
        ("generate_responses", 133),
        ("score_pairs", 133),
        ("generate_responses", 199),
        ("score_pairs", 199),
        ("generate_responses", 299),
    ]
    assert said.count("widened") == 2
    assert [gate.n for gate in made.desk.record.gates if gate.metric == "agreement_rate"] == [299]
    dropped = [one.stage for one in made.material.dropped]
    assert len(dropped) == len(set(dropped)), "what a stage dropped before it ran again is forgotten"


async def test_a_stage_that_runs_again_counts_anew_and_what_asking_for_more_left_out_is_kept() -> None:
    def repeats(task: Any) -> Generated:
        number = int(asked(task)[2:])
        return replace(asks(task), text="t0=" if number % 5 == 0 else f"t{number}=")

    stages = Stages(score_pairs=lambda n: {"agreement_rate": rate("agreement_rate", n * 9 // 10, n)})
    made, said = course(stages, repeats, count=11)
    await run_stages(made, checkpoint=nothing)
    assert said.count("widened") == 2
    prompts_asked = len(made.material.prompts)
    assert made.desk.record.stage("score_pairs").total == prompts_asked
    left_out = [one.stage for one in made.material.dropped if one.reason == "the question is there already"]
    assert len(left_out) == len(cast("ScriptedDesk", made.desk).tasks) - prompts_asked
    assert set(left_out) == {"sft_baseline"}


async def test_a_gate_that_stays_undecided_keeps_its_tier_and_says_so() -> None:
    stages = Stages(score_pairs=lambda n: {"agreement_rate": rate("agreement_rate", n * 9 // 10, n)})
    made, said = course(stages, count=11, settings={"widen_rounds": "1"})
    await run_stages(made, checkpoint=nothing)
    (verdict,) = [gate for gate in made.desk.record.gates if gate.metric == "agreement_rate"]
    assert (verdict.tier, verdict.undecided, said.count("widened")) == ("MEDIUM", True, 1)


async def test_what_was_trained_on_is_not_changed_by_an_undecided_gate_after_the_training() -> None:
    stages = Stages(evaluate=lambda _: {"win_rate": rate("win_rate", 500, 1000)})
    made, said = course(stages, count=11)
    await run_stages(made, checkpoint=nothing)
    assert "widened" not in said


async def test_data_that_was_given_begins_at_the_stage_that_scores_it() -> None:
    stages = Stages()
    made, _ = course(stages, data=DATA)
    await run_stages(made, checkpoint=nothing)
    assert stages.ran[0][0] == "score_pairs"
    assert [stage.state for stage in made.desk.record.stages[:3]] == ["skipped", "skipped", "done"]
    assert made.desk.record.stages[0].activity == "reading", "what reading it counts is in the record"


async def test_a_job_that_ends_before_its_data_comes_in_is_refused_and_not_run_on_nothing() -> None:
    stages = Stages()
    made, _ = course(stages, data=DATA, until="generate_responses")
    with pytest.raises(BadInput, match="--until generate_responses ends before score_pairs"):
        await run_stages(made, checkpoint=nothing)
    assert not stages.ran


async def test_rows_that_were_dropped_by_hand_do_not_come_back() -> None:
    made, _ = course(Stages(), drops=("row 1",))
    ending = await run_stages(made, checkpoint=nothing)
    assert ending.is_empty
    assert "dropped by hand: row 1" in {one.reason for one in made.material.dropped}


VOLUME = Volume(passages=100, rows=100)
PLAN = {
    "models": [{"role": role, "engines": 2, "slots": 2} for role in ("target", "generator", "judge")],
    "predicted": {"stages": [{"stage": stage.name, "expected_s": 10.0} for stage in WORKFLOW.stages]},
}


async def test_a_pilot_goes_through_the_stages_before_the_training_and_stops_a_doomed_job() -> None:
    stages = Stages(score_pairs=lambda n: {"agreement_rate": rate("agreement_rate", n // 10, n)})
    made, _ = course(stages, is_pilot=True)
    found, blocking = await run_pilot(made, volume=VOLUME, plan=PLAN)
    assert [name for name, _ in stages.ran] == ["sft_baseline", "generate_responses", "score_pairs"]
    assert [verdict.metric for verdict in blocking] == found["rejects"] == ["agreement_rate"]


async def test_a_pilot_lets_a_job_pass_that_may_still_turn_out_well() -> None:
    stages = Stages(score_pairs=lambda n: {"agreement_rate": rate("agreement_rate", n * 3 // 4, n)})
    made, _ = course(stages, is_pilot=True)
    found, blocking = await run_pilot(made, volume=VOLUME, plan=PLAN)
    assert not blocking
    gate = next(gate for gate in found["gates"] if gate["metric"] == "agreement_rate")
    assert (gate["tier"], gate["undecided"], gate["n"]) == ("REJECT", True, 20)
    assert [stage["stage"] for stage in found["stages"]] == [stage.name for stage in WORKFLOW.stages]
    assert found["rows"] == [{"id": "1"}]
    assert "training_loss" not in {gate["metric"] for gate in found["gates"]}


async def test_a_pilot_of_data_that_was_given_foretells_only_the_stages_ahead() -> None:
    made, _ = course(Stages(), is_pilot=True, data=DATA)
    found, _ = await run_pilot(made, volume=VOLUME, plan=PLAN)
    assert [stage["stage"] for stage in found["stages"]] == [stage.name for stage in WORKFLOW.stages[2:]]


async def test_a_pilot_that_computed_tells_how_long_its_pace_takes_for_all_judges() -> None:
    made, _ = course(Stages(), is_pilot=True, judges=(PIN,))
    found, _ = await run_pilot(made, volume=VOLUME, plan=PLAN)
    assert found["eta_basis"] == "measured"
    expected = {stage["stage"]: (stage["units"], stage["expected_s"], stage["basis"]) for stage in found["stages"]}
    assert expected["generate_responses"] == (360, 180.0, "measured")
    assert expected["score_pairs"] == (1080, 540.0, "measured")
    assert expected["evaluate"][2] == "expected from the plan"


async def test_a_pilot_that_was_remembered_promises_what_the_plan_does_and_not_no_time() -> None:
    stages = Stages()
    stages.is_remembered = True
    made, _ = course(stages, is_pilot=True)
    found, _ = await run_pilot(made, volume=VOLUME, plan=PLAN)
    assert (found["eta_s"], found["eta_basis"]) == (10.0 * len(WORKFLOW.stages), "expected from the plan")
