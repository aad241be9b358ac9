"""RLVR's rewards: which problems make rows, and whether the verifier accepts wrong answers."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from tests.unit.curation.rlvr_world import (
    PLAIN,
    RIGHT,
    cut,
    desk_of,
    problem,
    reasons,
    rewarded_material,
    same,
)

from realign_daemon.curation.metrics.intervals import wilson
from realign_daemon.curation.stages.rlvr import rewards
from realign_daemon.curation.verify.perturb import wrong_golds
from realign_planner.gates import judge


async def test_only_problems_that_are_sometimes_solved_are_trained_on_and_held_out_ones_stay() -> None:
    material = rewarded_material()
    desk = desk_of(computed=PLAIN, pii="keep")

    found = await rewards.calculate_rewards(desk, material)

    assert {row.fields["prompt"]: row.is_held_out for row in material.rows} == {"sometimes=": False, "held=": True}
    assert sorted(reasons(material)) == ["every sample solves it", "no sample solves it"]
    assert (found["pass_rate"].value, found["pass_rate"].n) == (6 / 16, 4)
    assert (found["band_fraction"].value, found["band_fraction"].n) == (0.25, 4)
    row = next(row for row in material.rows if not row.is_held_out)
    assert {key: value for key, value in row.fields.items() if key != "id"} == {
        "prompt": "sometimes=",
        "answer": "46",
        "answer_type": "number",
        "pass_rate": 0.5,
        "solution": RIGHT,
    }
    samples = row.provenance["samples"]
    assert [(one["seed"], one["node"], one["result"], one["reward"]) for one in samples] == [
        (0, "node", "wrong", 0.1),
        (1, "node", "correct", 1.1),
        (2, "node", "wrong", 0.0),
        (3, "node", "correct", 1.1),
    ]
    assert len({one["unit"] for one in samples}) == 4
    assert row.provenance["checker"] == {
        "name": f"math-verify {version('math-verify')}",
        "answer_type": "number",
        "verdicts": {"wrong": 2, "correct": 2},
    }
    assert row.provenance["asked_as"] == [{"role": "user", "content": "q"}], "as the samples were asked"


async def test_a_problem_whose_right_samples_were_all_cut_off_is_dropped_and_says_so() -> None:
    material = rewarded_material()
    right_ones = material.solutions["sometimes="]
    material.solutions["sometimes="] = [cut(one) if one.is_correct else one for one in right_ones]
    await rewards.calculate_rewards(desk_of(computed=PLAIN, pii="keep"), material)
    assert rewards.CUT_OFF in reasons(material)
    assert [row.fields["prompt"] for row in material.rows] == ["held="]


async def test_wrong_answers_to_one_problem_are_no_independent_trials() -> None:
    problems = [problem(f"{number}=", str(number)) for number in range(60)]
    measure = await rewards.false_positives(desk_of(computed=PLAIN), problems)
    assert (measure.value, measure.high) == (0.0, wilson(0, 60)[1])
    assert measure.n > 400


async def test_a_verifier_that_accepts_anything_is_found_out() -> None:
    problems = [problem(f"{number}=", str(number)) for number in range(60)]

    async def share(verifier: Callable[..., Any]) -> tuple[float | None, str]:
        measure = await rewards.false_positives(desk_of(computed={"verify.math.2": verifier}), problems)
        return measure.value, judge("reward_calculation", measure).tier

    def gullible(items: list[dict[str, str]], timeout_s: float) -> list[str]:
        return ["correct"] * len(items)

    assert await share(gullible) == (1.0, "REJECT")
    assert (await share(same))[0] == 0.0


async def test_a_verifier_is_tried_on_wrong_answers_that_no_problem_was_chosen_by() -> None:
    """A lenient verifier that happens to reject what the problems were chosen by is found out all the same."""
    chosen_by = {(wrong, str(number)) for number in range(60) for wrong in wrong_golds(str(number))}

    def lenient(items: list[dict[str, str]], timeout_s: float) -> list[str]:
        return ["wrong" if (item["answer"], item["gold"]) in chosen_by else "correct" for item in items]

    problems = [problem(f"{number}=", str(number)) for number in range(60)]
    measure = await rewards.false_positives(desk_of(computed={"verify.math.2": lenient}), problems)
    assert judge("reward_calculation", measure).tier == "REJECT"
    assert (measure.value or 0) > 0.9  # an other problem's answer may also be one more than this one's


async def test_what_is_planted_does_not_depend_on_the_order_of_the_problems() -> None:
    planted: list[set[tuple[str, str]]] = []

    def note(items: list[dict[str, str]], timeout_s: float) -> list[str]:
        planted.append({(item["answer"], item["gold"]) for item in items})
        return ["wrong"] * len(items)

    problems = [problem(f"{number}=", str(number)) for number in range(12)]
    for order in (problems, problems[::-1]):
        await rewards.false_positives(desk_of(computed={"verify.math.2": note}), order)
    assert planted[0] == planted[1]


async def test_answers_of_other_problems_that_may_be_the_same_are_not_planted_as_wrong() -> None:
    planted: list[dict[str, str]] = []

    def note(items: list[dict[str, str]], timeout_s: float) -> list[str]:
        planted.extend(items)
        return ["wrong"] * len(items)

    golds = [r"\frac{1}{2}", "0.5", "0.501", "50/100", "7"]
    await rewards.false_positives(desk_of(computed={"verify.math.2": note}), [problem(f"{one}=", one) for one in golds])
    crossed = {(one["answer"], one["gold"]) for one in planted if {one["answer"], one["gold"]} <= {*golds}}
    assert crossed
    assert all("7" in pair for pair in crossed)
