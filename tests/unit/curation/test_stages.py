"""Stages: what each measures, keeps and drops, at a desk whose answers the test writes itself."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.documents.document import Chunk, Span
from realign_daemon.curation.material import Comparison, Material, Pair, Prompt, Rated, Response, Row
from realign_daemon.curation.metrics.preference import Verdict
from realign_daemon.curation.stages import gaps, judging, prompts, suites, training
from realign_daemon.curation.stages.dataset import dpo_row, most_tokens, replay_rows, sft_row, without_items
from realign_daemon.engine.api import (
    Fill,
    Filled,
    Generated,
    Sha256,
    TrainSettings,
)
from realign_daemon.testing.scripted_desk import ScriptedDesk, asked, generation, job_spec, prompt
from realign_planner.gates import Measure, judge


def rated(of: Prompt, text: str, quality: float = 5.0) -> Rated:
    return Rated(response=Response(prompt=of, text=text, task=generation(), is_truncated=False), quality=quality)


def pair(
    question: str, *, gap: float | None = 0.5, verdicts: tuple[Verdict, Verdict] = ("A", "B"), is_held_out: bool = False
) -> Pair:
    of = prompt(question, is_held_out=is_held_out)
    comparison = Comparison(first_shown_first=verdicts[0], first_shown_second=verdicts[1])
    return Pair(chosen=rated(of, "longer", 9.0), rejected=rated(of, "short", 1.0), comparison=comparison, gap=gap)


def filled(*probabilities: float) -> Filled:
    return Filled(probabilities=(probabilities,), mass=(1.0,), prompt_tokens=1)


def generated(text: str) -> Generated:
    return Generated(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=0.0)


def regression(value: float | None, low: float | None, high: float | None, *, n: int = 60) -> Measure:
    return Measure(metric="regression", value=value, low=low, high=high, n=n)


async def test_a_training_that_gives_nothing_is_rejected() -> None:
    desk = ScriptedDesk(lambda _: None)
    fields = {"prompt": "q", "chosen": "a", "rejected": "b"}
    material = Material(rows=[Row(fields=fields, provenance={}, is_held_out=False)])

    measure = (await training.train_dpo(desk, material))["training_loss"]

    assert len(desk.trainings) == 1
    assert (measure.value is not None and math.isnan(measure.value), measure.n) == (True, 1)
    assert judge("train_dpo", measure).tier == "REJECT"


def test_a_training_that_nobody_asked_for_has_no_loss() -> None:
    assert training.loss_change(None, 0)["training_loss"] == Measure(metric="training_loss", value=None, n=0)


def test_training_has_room_for_the_longest_row_and_takes_a_step_at_least() -> None:
    defaults = TrainSettings(max_tokens=128, steps=30)
    long = dpo_row("train", "why?", "字" * 900, "no")
    found = training.settings(
        job_spec(settings={"steps": "0", "beta": "0.2"}), defaults, [sft_row("train", "q", "a"), long], epochs=2
    )
    assert (found.steps, found.beta) == (1, 0.2)
    assert found.max_tokens == most_tokens(long) > len(("why?" + "字" * 900).encode())
    assert training.settings(job_spec(), TrainSettings(), [long], epochs=2).max_tokens >= most_tokens(long)
    assert training.settings(job_spec(), TrainSettings(max_tokens=9_999), [long], epochs=2).max_tokens == 9_999


def test_few_rows_get_few_steps_unless_somebody_says_otherwise() -> None:
    rows = [sft_row("train", "q", "a")] * 100 + [sft_row("valid", "q", "a")] * 500
    defaults = TrainSettings(steps=30, batch_size=32)
    assert training.settings(job_spec(), defaults, rows, epochs=2).steps == 7
    assert training.settings(job_spec(), defaults, rows * 10, epochs=2).steps == 30
    assert training.settings(job_spec(settings={"steps": "25"}), defaults, rows, epochs=2).steps == 25


async def test_an_item_that_was_given_up_is_no_wrong_answer() -> None:
    items = [
        {"suite": "s", "messages": [{"role": "user", "content": question}], "answer": "yes"} for question in "abcd"
    ]
    answers: list[dict[str, Generated | None]] = [
        {"a": generated("Yes"), "b": generated("yes"), "c": generated("no"), "d": None},
        {"a": None, "b": generated("no"), "c": generated("no"), "d": generated("yes")},
    ]
    rounds = iter(answers)
    now = dict(next(rounds))
    desk = ScriptedDesk(lambda task: now[asked(task)], blobs={"suites": "\n".join(map(json.dumps, items))})
    material = Material(suites_before=await suites.run(desk, adapter=None))
    now.update(next(rounds))

    found = await suites.monitor_regression(desk, material)

    assert material.suites_before == {"s": [1.0, 1.0, 0.0, None]}
    assert found["change_s"] == Measure(metric="change_s", value=-0.5, n=2)
    assert found["regression"] == regression(-0.5, -1.0, 0.0, n=2)


@pytest.mark.parametrize(
    ("others", "seen"),
    [
        # few items that fell further, and may have by chance, do not hide many that surely fell
        ([regression(-0.2, -0.6, 0.2, n=5), regression(0.0, 0.0, 0.0)], regression(-0.1, -0.12, -0.08, n=400)),
        ([regression(-0.02, -0.06, 0.02), regression(-0.01, -0.09, 0.03)], regression(-0.01, -0.2, 0.1)),
        ([regression(0.0, -0.04, 0.04)], regression(None, None, None, n=0)),
    ],
)
def test_the_gate_sees_the_suite_that_does_worst(others: list[Measure], seen: Measure) -> None:
    assert suites.worst([*others, seen], {}) == suites.worst([seen, *others], {}) == seen


def test_the_thresholds_of_the_job_decide_which_suite_does_worst() -> None:
    sure, unsure = regression(-0.1, -0.12, -0.08), regression(-0.05, -0.2, 0.1)
    assert suites.worst([sure, unsure], {}) == sure
    assert suites.worst([sure, unsure], {"regression.baseline": "-0.3"}) == unsure
    assert suites.worst([], {}) == regression(None, None, None, n=0)


def test_replay_rows_are_never_items_of_the_jobs_suites() -> None:
    def line(question: str, **more: str) -> str:
        return json.dumps({"messages": [{"role": "user", "content": question}], **more})

    replay, items = [line("a"), line("b"), line("c")], [line("b", answer="x", suite="s")]
    assert without_items(replay, items) == [line("a"), line("c")]
    desk = ScriptedDesk(
        lambda _: None, blobs={"suites": "\n".join(items), "replay": "\n".join(replay)}, replay=Sha256("replay")
    )
    assert sorted(row["messages"][0]["content"] for row in replay_rows(desk, 100)) == ["a", "c"]


@given(st.lists(st.text(alphabet="abc", max_size=3), max_size=12), st.integers(0, 12), st.text(alphabet="abcd"))
def test_a_replay_line_more_changes_nothing_about_the_turn_of_the_others(said: list[str], at: int, more: str) -> None:
    def order(said: list[str]) -> list[str]:
        lines = [json.dumps({"messages": [{"role": "user", "content": one}]}) for one in said]
        blobs = {"suites": "", "replay": "\n".join(lines)}
        desk = ScriptedDesk(lambda _: None, blobs=blobs, replay=Sha256("replay"), settings={"replay_fraction": "1"})
        return [row["messages"][0]["content"] for row in replay_rows(desk, 1)]

    wider = order([*said[:at], more, *said[at:]])
    wider.remove(more)
    assert wider == order(said)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=8), st.integers(0, 2**31))
def test_held_out_sections_are_some_and_never_more_than_half(sizes: list[int], seed: int) -> None:
    span = Span(page=1, start=0, end=1)
    chunks = [
        Chunk(id=f"{name}.{place}", source="a", source_sha256="0", section=str(name), spans=(span,), text="x")
        for name, size in enumerate(sizes)
        for place in range(size)
    ]
    held_out = prompts.held_out_sections(chunks, seed)
    held = sum(sizes[int(section)] for _, section in held_out)
    assert len(held_out) < len(sizes)
    assert held <= sum(sizes) / 2
    assert (held > 0) == (len(sizes) > 1)


def test_only_good_pairs_make_rows() -> None:
    pairs = [
        pair("held out", is_held_out=True),
        pair("swapped", verdicts=("A", "A")),
        pair("worse", verdicts=("B", "A")),
        pair("narrow", gap=0.05),
        pair("good"),
    ]
    assert [gaps.why_not(one, 0.1) for one in pairs] == [
        "",
        "the judge names another winner when the order is swapped, or a tie",
        "compared side by side, the answer with the lower score wins",
        "judged afresh, the gap is below 0.1",
        "",
    ]


async def test_a_pair_whose_comparison_was_given_up_is_dropped_with_that_reason() -> None:
    def answer(task: Fill) -> Filled | None:
        line = asked(task)
        if line.startswith("C"):
            return None if "lost=" in line else filled(*((1, 0, 0) if "=good|" in line else (0, 1, 0)))
        return filled(*((0, 0, 0, 0, 1) if line.endswith("good") else (1, 0, 0, 0, 0)))

    prompts = [prompt("kept="), prompt("lost=")]
    responses = [rated(one, text).response for one in prompts for text in ("good", "bad")]
    material = Material(prompts=prompts, responses=responses)

    found = await judging.score_pairs(ScriptedDesk(answer), material)

    assert [made.prompt.question for made in material.pairs] == ["kept="]
    (left_out,) = material.dropped
    assert left_out.reason == "the judgement was given up"
    assert {"question": "lost=", "chosen": "good", "rejected": "bad", "source": "a.txt"}.items() <= (
        left_out.content.items()
    )
    assert (found["agreement_rate"].value, found["agreement_rate"].n) == (1.0, 1)
    assert found["pair_yield"].value == 1.0


async def test_validating_gaps_drops_what_was_given_up() -> None:
    def answer(task: Fill) -> Filled | None:
        if "lost=" in asked(task):
            return None
        return filled(*((0, 0, 0, 0, 1) if asked(task).endswith("longer") else (1, 0, 0, 0, 0)))

    desk = ScriptedDesk(answer)
    material = Material(pairs=[pair("kept=", gap=None), pair("lost=", gap=None)])

    found = await gaps.validate_gaps(desk, material)

    assert [row.fields["prompt"] for row in material.rows] == ["kept="]
    assert [(one.stage, one.reason) for one in material.dropped] == [("validate_gaps", "the judgement was given up")]
    assert {name: measure.value for name, measure in found.items()} == {
        "preference_gap": 1.0,
        "preference_yield": 1.0,
        "repetition_stability": 1.0,
        "length_bias": 1.0,
        "length_correlation": None,
    }
    assert found["length_bias"].n == 1
    assert [warning.partition(" is ")[0] for warning in desk.record.warnings] == ["preference_gap"], "not of lengths"


@pytest.mark.parametrize(
    ("longer", "shorter", "warned"),
    [
        (1, 0, ""),
        (3, 0, ""),
        (12, 0, "the longer answer in 100%"),
        (0, 12, "the shorter answer in 100%"),
        (9, 9, ""),
        (30, 10, "the longer answer in 75%"),
        (1, 11, "the shorter answer in 92%"),
    ],
)
def test_a_judge_that_goes_by_length_is_warned_of_where_chance_does_not_explain_it(
    longer: int, shorter: int, *, warned: str
) -> None:
    long, short = pair("a="), pair("b=")
    alike = replace(long, chosen=long.rejected)
    pairs = [long] * longer + [replace(short, chosen=short.rejected, rejected=short.chosen)] * shorter + [alike] * 50
    desk = ScriptedDesk(lambda _: None)
    gaps.watch_lengths(desk, pairs)
    sentence = (
        f"the judge chose {warned} of the {longer + shorter} pairs that differ in length, so length may be what is "
    )
    assert desk.record.warnings == ([f"{sentence}learned"] if warned else [])
