"""SFT from the training on: what is learned, measured on rows that nothing looked at, and handed over."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.curation.sft_world import SUMS, TRAINED, desk, filled, given_answers, otherwise, row, said, values

from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.sft import deployment, evaluation, training, validation
from realign_daemon.curation.stages.verdicts import verdicts
from realign_daemon.engine.api import Filled, Fuse, Generate, Generated, Scored
from realign_daemon.testing.scripted_desk import PIN, asked, chunk, prompt
from realign_planner.gates import judge

# Training and validation


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 2**31))
def test_the_rows_that_choose_when_to_stop_are_no_rows_that_anything_is_measured_on(
    held_out: list[bool], seed: int
) -> None:
    rows = [row(SUMS[place], is_held_out=held) for place, held in enumerate(held_out)]
    watched, fresh = training.watched_and_fresh(rows, seed)
    names = [one.fields["id"] for one in (*watched, *fresh)]
    assert sorted(names) == sorted(one.fields["id"] for one in rows if one.is_held_out)
    assert len(set(names)) == len(names)


async def test_training_stops_by_the_watched_rows_and_goes_through_the_others() -> None:
    rows = [row(question, is_held_out=place >= 40) for place, question in enumerate(SUMS[:80])]
    at = desk(trained=TRAINED)
    material = Material(rows=rows)
    found = await training.train(at, material)

    (task,) = at.trainings
    splits = Counter(json.loads(line)["split"] for line in at.blobs.read(task.dataset).decode().splitlines())
    assert splits == {"train": 40, "valid": len(training.watched_and_fresh(rows, 0)[0])}
    settings = task.settings
    assert (settings.patience, settings.steps) == (training.PATIENCE, 7)  # 5 passes over 40 rows, 32 at a time
    assert settings.evaluate_every == 1
    assert found["training_loss"].value == -2.0
    assert material.adapter == "adapter"


async def test_without_a_row_nothing_is_trained_and_nothing_claimed_later() -> None:
    at = desk(trained=TRAINED)
    material = given_answers(SUMS[:3], held_out=3)
    material.rows = [row(question, is_held_out=True) for question in SUMS[:3]]
    assert values(await training.train(at, material)) == {"training_loss": None}
    assert at.trainings == []
    assert values(await validation.validate(at, material)) == {"held_out_gain": None}
    assert (await evaluation.evaluate(at, material))["closed_book_gain"].value is None
    assert values(await deployment.deploy(at, material)) == {"smoke_fraction": None}


async def test_the_gain_is_the_mean_fall_of_loss_per_token_over_rows_that_nothing_looked_at() -> None:
    rows = [row(question, is_held_out=True) for question in SUMS[:60]]
    _, fresh = training.watched_and_fresh(rows, 0)
    first = fresh[0].fields["messages"][0]["content"]

    def change(task: Any) -> Any:
        if asked(task) == first:
            return None if task.adapter else Scored(logprob=-1.0, tokens=2)
        return Scored(logprob=-1.0 if task.adapter else -3.0, tokens=4)

    at = desk(change)
    found = await validation.validate(at, Material(rows=rows, tuned=TRAINED))
    assert found["held_out_gain"].value == pytest.approx(0.5)
    assert found["held_out_gain"].n == len(fresh) - 1
    assert (found["held_out_loss_before"].value, found["held_out_loss_after"].value) == (0.75, 0.25)
    assert {asked(task) for task in at.tasks} == {one.fields["messages"][0]["content"] for one in fresh}


# Evaluation


async def test_the_closed_book_gain_is_paired_and_split_by_what_was_known() -> None:
    """Of six questions three were known; one of those is forgotten, and two of the others are learned."""
    wrong_before, wrong_after = set(SUMS[:3]), {SUMS[0], SUMS[3]}

    def change(task: Any) -> Any:
        if isinstance(task, Generate):
            return said("?") if asked(task) in (wrong_after if task.adapter else wrong_before) else NotImplemented
        return NotImplemented

    material = given_answers(SUMS[:8], held_out=8)
    lost = SUMS[7]
    material.prompts[6] = replace(material.prompts[6], is_held_out=False)
    material.tuned = TRAINED
    at = desk(otherwise(lambda task: None if isinstance(task, Generate) and asked(task) == lost else change(task)))
    found = await evaluation.evaluate(at, material)

    assert found["closed_book_gain"].value == pytest.approx(1 / 6)
    assert found["closed_book_gain"].n == 6
    assert {
        name: (one.value, one.n) for name, one in found.items() if one.metric not in {"closed_book_gain", "regression"}
    } == {
        "closed_book_before": (0.5, 6),
        "closed_book_after": (pytest.approx(4 / 6), 6),
        "known_kept": (pytest.approx(2 / 3), 3),
        "unknown_learned": (pytest.approx(2 / 3), 3),
    }
    assert all(task.sampler.temperature == 0 for task in at.tasks if isinstance(task, Generate))


async def test_questions_whose_rows_chose_when_training_stopped_are_not_asked_about_afterwards() -> None:
    material = given_answers(SUMS[:40], held_out=40)
    material.rows = [row(question, is_held_out=True) for question in SUMS[:40]]
    material.tuned = TRAINED
    watched, fresh = training.watched_and_fresh(material.rows, 0)
    at = desk()
    found = await evaluation.evaluate(at, material)
    asked_for = {asked(task) for task in at.tasks if isinstance(task, Generate)}
    assert watched
    assert asked_for == {one.provenance["prompt_id"] for one in fresh}
    assert found["closed_book_gain"].n == len(fresh)


async def test_a_verdict_sees_passage_and_reference_and_an_empty_answer_is_wrong_unasked() -> None:
    pin = replace(PIN, templates="standard")
    shown: list[str] = []

    def yes_or_no(task: Any) -> Filled | None:
        shown.append(asked(task))
        return None if "lost" in asked(task) else filled(0.4, 0.6) if "good" in asked(task) else filled(0.5, 0.5)

    at = desk(yes_or_no, roles=dict.fromkeys(("target", "generator", "judge"), pin))
    of = replace(prompt("why?", gold="the reference"), chunk=chunk("c", text="the passage"))
    found = await verdicts(at, [(of, "good"), (of, " "), (of, "bad"), (of, "lost")])
    assert [one.is_right for one in found] == [True, False, False, None]
    assert [[judgement.scores for judgement in one.judgements] for one in found] == [
        [(("right", 0.6),)],
        [],
        [(("right", 0.5),)],
        [],
    ]
    assert len(shown) == 3
    assert all(part in shown[0] for part in ("why?", "the reference", "the passage", "good"))


# Deployment


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (said("640"), ""),
        (said("A whole answer of some length, in which hardly anything is said twice over, passes."), ""),
        (None, "given up"),
        (said(" \n"), "empty"),
        (said("64", is_cut=True), "cut at the token limit"),
        (said("the sum of the sum of the sum of " * 8), "repeats itself"),
    ],
)
def test_an_answer_at_fault_is_told_from_a_whole_one(answer: Generated | None, fault: str) -> None:
    assert deployment.fault(answer) == fault


async def test_smoke_questions_are_held_out_ones_first_and_asked_of_the_adapter() -> None:
    material = given_answers(SUMS[:30], held_out=12)
    material.tuned = TRAINED
    at = desk()
    found = await deployment.deploy(at, material)
    assert [asked(task) for task in at.tasks] == [*SUMS[18:30], *SUMS[:8]]
    assert {task.adapter for task in at.tasks} == {"adapter"}
    assert judge("deploy", found["smoke_fraction"]).tier == "HIGH"
    assert material.fused is None


@pytest.mark.parametrize(("settings", "bits"), [({"fuse": "yes"}, None), ({"quantise_bits": "4"}, 4)])
async def test_a_fused_model_answers_the_smoke_questions_itself(settings: dict[str, str], bits: int | None) -> None:
    material = given_answers(SUMS[:30], held_out=12)
    material.tuned = TRAINED
    at = desk(settings=settings)
    found = await deployment.deploy(at, material)
    (task,) = at.tasks
    assert isinstance(task, Fuse)
    assert (task.adapter, task.quantise_bits, len(task.prompts)) == ("adapter", bits, 20)
    assert {one.adapter for one in task.prompts} == {None}
    assert (material.fused, found["smoke_fraction"].value) == ("fused", 1.0)


async def test_a_fused_model_that_was_given_up_answers_nothing() -> None:
    material = given_answers(SUMS[:30])
    material.tuned = TRAINED
    found = await deployment.deploy(desk(lambda _: None, settings={"fuse": "yes"}), material)
    assert (material.fused, judge("deploy", found["smoke_fraction"]).tier) == (None, "REJECT")
