"""RLVR from the training on: what is learned from rewards, a control that learns nothing, and held-out problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.curation.rlvr_world import (
    FALLING,
    PLAIN,
    RIGHT,
    WRONG,
    Write,
    cut,
    desk_of,
    problem,
    rewarded_material,
    rows_of,
    solved,
    taught,
)

from realign_daemon.curation.material import Material, Response
from realign_daemon.curation.stages.rlvr import group, held_out, rewards, training
from realign_daemon.curation.stages.rlvr.problem import Solution
from realign_daemon.engine.api import Generate
from realign_daemon.testing.scripted_desk import ScriptedDesk
from realign_planner.gates import judge


@given(st.lists(st.booleans(), min_size=2, max_size=16), st.integers(0, 2**31))
def test_the_control_has_the_same_samples_and_the_same_rewards_in_another_order(right: list[bool], seed: int) -> None:
    found = solved(one := problem("12+34="), [RIGHT if is_right else WRONG for is_right in right])
    true, control = group.group(one, found), group.group(one, found, seed=seed)
    assert true.solutions == control.solutions
    assert sorted(true.rewards) == sorted(control.rewards)
    assert len(true.accepted) == len(control.accepted) == min(sum(right), group.SOLUTIONS_PER_PROBLEM)
    assert all(solution.is_correct for solution in true.accepted)
    assert sum(true.advantages) == pytest.approx(0, abs=1e-4)


def test_the_shortest_of_the_right_solutions_in_the_asked_form_come_first() -> None:
    one = problem("12+34=")
    texts = {"because 640": True, "640": True, "it must be 640": True}
    found = [
        Solution(
            response=Response(prompt=one.prompt, text=text, task=None, is_truncated=False),
            answer="46",
            is_in_form=text != "640",
            result="correct" if right else "wrong",
        )
        for text, right in texts.items()
    ]
    assert [one.response.text for one in group.group(one, found).accepted] == [
        "because 640",
        "it must be 640",
        "640",
    ]


async def trained(method: str, write: Write = lambda _: RIGHT) -> tuple[ScriptedDesk, Material]:
    material = rewarded_material()
    desk = desk_of(write, computed=PLAIN, method=method, samples="4")
    await rewards.calculate_rewards(desk, material)
    await training.train_on_rewards(desk, material)
    return desk, material


async def test_rejection_sampling_trains_on_verified_solutions_in_the_models_own_words() -> None:
    desk, material = await trained("sft")
    true, control = desk.trainings
    rows, others = rows_of(desk, true), rows_of(desk, control)
    expected = [{"role": "user", "content": "sometimes="}, {"role": "assistant", "content": RIGHT}]
    assert rows == [{"split": "train", "messages": expected}] * 2
    assert len(others) == len(rows)
    assert (true.method, true.seed, true.settings) == (control.method, control.seed, control.settings)
    assert (material.tuned and material.tuned.adapter, material.control and material.control.adapter) == (
        "sft 1",
        "sft 2",
    )


async def test_grpo_learns_from_every_sample_by_how_much_better_than_its_group_it_did() -> None:
    desk, _ = await trained("grpo")
    true, _ = desk.trainings
    rows = rows_of(desk, true)
    assert (true.method, true.adapter) == ("grpo", None)
    assert [(row["completion"], row["advantage"]) for row in rows] == [
        (WRONG, -0.475),
        (RIGHT, 0.525),
        ("64", -0.575),
        (RIGHT, 0.525),
    ]
    assert {row["group"] for row in rows} == {"sometimes="}


async def test_with_both_methods_grpo_goes_on_from_the_taught_adapter_with_samples_of_its_own() -> None:
    texts = {"sft 1": iter([RIGHT, WRONG, WRONG, WRONG]), "sft 3": iter([RIGHT, RIGHT, RIGHT, WRONG])}

    def write(task: Generate) -> str:
        return next(texts[task.adapter]) if task.adapter in texts else RIGHT

    desk, material = await trained("both", write)
    assert [(task.method, task.adapter) for task in desk.trainings] == [
        ("sft", None),
        ("grpo", "sft 1"),
        ("sft", None),
        ("grpo", "sft 3"),
    ]
    assert [row["advantage"] for row in rows_of(desk, desk.trainings[1])] == [0.75, -0.25, -0.25, -0.25]
    assert (material.tuned and material.tuned.adapter, material.control and material.control.adapter) == (
        "grpo 2",
        "grpo 4",
    )


@pytest.mark.parametrize("method", ["sft", "grpo", "both"])
async def test_personal_data_is_taken_out_of_what_is_learned_and_costs_no_problem(method: str) -> None:
    """The row of a redacted problem says something else than the problem; they are the same all the same."""
    one = problem("mail john.smith@gmail.com the sum of 12+34=")
    one = replace(one, prompt=replace(one.prompt, id="0a1b"))  # a hash, unlike other tests' ids
    solutions = solved(one, [RIGHT, WRONG, f"ask a.b@web.org {WRONG}", RIGHT])
    material = Material(problems=[one], solutions={one.prompt.id: solutions})
    desk = desk_of(lambda _: RIGHT, computed=PLAIN, method=method, samples="4")
    await rewards.calculate_rewards(desk, material)
    await training.train_on_rewards(desk, material)
    assert [row.fields["prompt"] for row in material.rows] == ["mail [EMAIL] the sum of 12+34="]
    assert desk.trainings
    for task in desk.trainings:
        assert (rows := rows_of(desk, task))
        assert "@" not in str(rows)
        assert "[EMAIL]" in str(rows)


@pytest.mark.parametrize(
    ("method", "missing"),
    [("sft", "right solution that came to its end"), ("grpo", "finished solutions of different reward")],
)
async def test_a_training_without_rows_says_so_in_a_sentence(method: str, missing: str) -> None:
    material = rewarded_material()
    desk = desk_of(lambda _: RIGHT, computed=PLAIN, pii="keep", method=method, samples="4")
    await rewards.calculate_rewards(desk, material)
    material.solutions = {key: [cut(one) for one in found] for key, found in material.solutions.items()}
    material.tuned = taught("of an earlier try")
    found = await training.train_on_rewards(desk, material)
    (said,) = desk.record.warnings
    assert said.startswith("nothing was trained: of 1 problems none has")
    assert missing in said
    assert (desk.trainings, material.tuned, material.control) == ([], None, None)
    verdict = judge("training", found["training_reward"])
    assert (verdict.tier, verdict.value) == ("INSUFFICIENT", None)
    assert "learning_rate" not in verdict.remedy


def rewarded(after: str, losses: tuple[float, ...] = FALLING) -> tuple[ScriptedDesk, Material]:
    """A GRPO job over fifty half-solved problems, whose trained model always says the same."""
    problems = [problem(f"{number}=", is_held_out=number == 0) for number in range(51)]
    solutions = {one.prompt.id: solved(one, [RIGHT, WRONG] * 2) for one in problems}
    desk = desk_of(lambda _: after, computed=PLAIN, losses=losses, method="grpo", samples="4")
    return desk, Material(problems=problems, solutions=solutions)


@pytest.mark.parametrize(("after", "change", "tier"), [(RIGHT, 0.5, "HIGH"), (WRONG, -0.5, "REJECT")])
async def test_a_policy_gradient_is_judged_by_its_reward_and_not_by_its_loss(
    after: str, change: float, tier: str
) -> None:
    desk, material = rewarded(after)
    await rewards.calculate_rewards(desk, material)
    found = await training.train_on_rewards(desk, material)
    measure = found["training_reward"]
    assert (measure.value, measure.n) == (pytest.approx(change), 50)
    assert judge("training", measure).tier == tier
    before, now = found["reward_before"].value, found["reward_after"].value
    assert (before, now) == (pytest.approx(0.6), pytest.approx(0.6 + change))
    assert "training_loss" not in found


@pytest.mark.parametrize("losses", [(1.0, math.nan), ()])
async def test_a_training_that_diverged_or_failed_is_rejected(losses: tuple[float, ...]) -> None:
    desk, material = rewarded(RIGHT, losses)
    await rewards.calculate_rewards(desk, material)
    found = await training.train_on_rewards(desk, material)
    assert judge("training", found["training_reward"]).tier == "REJECT"


def half_solved(adapters: Mapping[str | None, int]) -> Write:
    """Of every problem's four samples, in turn, the adapter solves so many."""
    asked: dict[tuple[str | None, str], int] = {}

    def write(task: Generate) -> str:
        key = (task.adapter, task.messages[-1].content)
        asked[key] = asked.get(key, -1) + 1
        return RIGHT if asked[key] % 4 < adapters[task.adapter] else WRONG

    return write


def held_out_material() -> Material:
    problems = [problem(f"{number}=", is_held_out=number >= 5) for number in range(55)]
    return Material(problems=problems, tuned=taught("true"), control=taught("random"))


async def test_the_gain_over_random_rewards_is_of_the_rewards_alone() -> None:
    def desk(control: int) -> ScriptedDesk:
        return desk_of(half_solved({None: 1, "true": 3, "random": control}), computed=PLAIN, samples="4")

    found = (await held_out.validate(desk(control=2), held_out_material()))["gain_over_random"]
    assert (found.value, found.n, judge("validation", found).tier) == (0.25, 50, "HIGH")
    found = (await held_out.validate(desk(control=4), held_out_material()))["gain_over_random"]
    assert (found.value, judge("validation", found).tier) == (-0.25, "REJECT")


async def test_a_control_that_could_not_be_trained_leaves_nothing_to_compare() -> None:
    material = held_out_material()
    material.control = None
    desk = desk_of(half_solved({"true": 3}), computed=PLAIN, samples="4")
    found = (await held_out.validate(desk, material))["gain_over_random"]
    assert (found.value, found.n, judge("validation", found).tier) == (None, 0, "INSUFFICIENT")


async def test_evaluation_reports_one_and_several_tries_before_and_after() -> None:
    desk = desk_of(half_solved({None: 1, "true": 3}), computed=PLAIN, samples="4")
    found = await held_out.evaluate(desk, held_out_material())
    assert {name: one.value for name, one in found.items()} == {
        "pass_gain": 0.5,
        "pass_at_1_before": 0.25,
        "pass_at_1_after": 0.75,
        "pass_at_4_before": 1.0,
        "pass_at_4_after": 1.0,
        "regression": None,
    }
