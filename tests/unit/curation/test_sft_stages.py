"""SFT before the training: what each stage measures, keeps and drops where the pocket model's world answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.curation.sft_world import SUMS, desk, filled, given_answers, otherwise, reasons, row, said, values

from realign_daemon.curation.documents.document import Record
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Material, Response
from realign_daemon.curation.spec import ModelPin, SourceSpec
from realign_daemon.curation.stages import hygiene
from realign_daemon.curation.stages.sft import WORK, conversion, filtering, lesson, preparation
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill, Generate, ModelId, Rendered, Score, Scored, Sha256
from realign_daemon.engine.pocket import world
from realign_daemon.testing.scripted_desk import PIN, asked, chunk, prompt
from realign_planner.gates import Measure, judge
from realign_planner.workflow import for_type

OTHER = ModelPin(name="other", model=ModelId("o"), params_b=0.001, bits=16, weight_bytes=1, templates="pocket")


def test_the_work_has_a_function_for_every_stage_in_order() -> None:
    assert list(WORK.stages) == [stage.name for stage in for_type("sft").stages]


# Data prep


async def test_answers_that_were_given_come_in_as_they_are_and_others_are_written_with_the_passage() -> None:
    material = given_answers(SUMS[:2], ["given", ""])
    at = desk()
    await preparation.answer_prompts(at, material)
    assert [(one.text, one.task is None) for one in material.responses] == [
        ("given", True),
        (world.gold_answer(SUMS[1]), False),
    ]
    (written,) = [task for task in at.tasks if isinstance(task, Generate)]
    assert (written.template, written.sampler.temperature) == ("pocket.answer@1", load("pocket").lesson_temperature)


async def test_data_prep_counts_whole_and_cut_answers_over_all_prompts_and_says_what_is_missing() -> None:
    reading = Reading(
        name="book.txt",
        sha256="0",
        page_count=4,
        pages_without_text=(),
        sections=("a", "b"),
        characters=100,
        text_ratio=0.9,
        language="en",
        chunks=tuple(
            chunk(str(place), text=f"Page: {question}", section=f"part {place % 2}")
            for place, question in enumerate(SUMS[:8])
        ),
    )

    def change(task: Any) -> Any:
        said_to = asked(task)
        if task.template.startswith("pocket.question"):
            return said(said_to.removeprefix("PPage: "))
        outcomes = {SUMS[0]: said("64", is_cut=True), SUMS[1]: said(" "), SUMS[2]: None}
        return outcomes.get(said_to, NotImplemented)

    source = SourceSpec(name="book.txt", sha256=Sha256("0"), size_bytes=1)
    material = Material()
    found = await preparation.data_prep(
        desk(otherwise(change), sources=(source,), readings={"book.txt": reading}), material
    )

    assert values(found) == {"text_ratio": 1.0, "valid_fraction": 5 / 8, "truncated_fraction": 1 / 8}
    assert reasons(material) == {"its answer is empty, cut at the token limit, or was given up": 3}
    assert {one.content["question"] for one in material.dropped} == set(SUMS[:3])


async def test_no_question_is_asked_about_text_that_is_no_text() -> None:
    reading = Reading(
        name="s.pdf",
        sha256="0",
        page_count=9,
        pages_without_text=(),
        sections=(),
        characters=9,
        text_ratio=0.1,
        language="und",
        chunks=(chunk("c"),),
    )
    source = SourceSpec(name="s.pdf", sha256=Sha256("0"), size_bytes=1)
    at = desk(sources=(source,), readings={"s.pdf": reading})
    at.stage.name = "data_prep"
    found = await preparation.data_prep(at, Material())
    assert at.tasks == []
    assert [judge("data_prep", found[metric]).tier for metric in ("text_ratio", "valid_fraction")] == [
        "REJECT",
        "INSUFFICIENT",
    ]


async def test_records_with_answers_begin_at_the_filter_and_those_without_are_dropped() -> None:
    records = tuple(
        Record(line=place, fields={"question": question, "answer": answer}, chunk=chunk(str(place)))
        for place, (question, answer) in enumerate(((SUMS[0], "640"), (SUMS[1], "")))
    )
    reading = Reading(
        name="r.jsonl",
        sha256="0",
        page_count=1,
        pages_without_text=(),
        sections=(),
        characters=9,
        text_ratio=1.0,
        language="und",
        chunks=(),
        records=records,
    )
    source = SourceSpec(name="r.jsonl", sha256=Sha256("0"), size_bytes=1)
    material = Material()
    assert await WORK.enter(desk(data=source, readings={"r.jsonl": reading}), material) == "quality_filter"
    assert [(one.prompt.question, one.text) for one in material.responses] == [(SUMS[0], "640")]
    assert reasons(material) == {"the record has no answer": 1}


# Quality filter


async def test_good_answers_are_high_and_answers_that_slipped_by_one_line_reject() -> None:
    right = [world.gold_answer(question) for question in SUMS[:60]]
    for answers, tier in ((right, "HIGH"), (right[1:] + right[:1], "REJECT")):
        found = await filtering.quality_filter(desk(), given_answers(SUMS[:60], answers))
        assert judge("quality_filter", found["quality_score"]).tier == tier


async def test_the_score_is_of_all_judged_answers_before_the_cut_and_the_yield_says_how_many_passed() -> None:
    answers = [world.gold_answer(question) if place % 4 else "?" for place, question in enumerate(SUMS[:80])]
    material = given_answers(SUMS[:80], answers)
    found = await filtering.quality_filter(desk(), material)
    score = found["quality_score"]
    assert (score.value, score.n) == (pytest.approx((60 * 10 + 20 * 1) / 80), 80)
    assert score.low is not None
    assert score.high is not None
    assert score.low < 7.75 < score.high
    assert found["quality_yield"].value == 0.75
    assert len(material.rows) == 60
    assert reasons(material) == {"judged, its quality is below 6": 20}
    assert {one.content["quality"] for one in material.dropped} == {1.0}


async def test_what_repeats_is_never_judged() -> None:
    material = given_answers([SUMS[0], SUMS[1]])
    again = Response(
        prompt=replace(prompt(SUMS[0]), id="again"), text=world.gold_answer(SUMS[0]), task=None, is_truncated=False
    )
    material.prompts.append(replace(again.prompt, gold=again.text))
    at = desk()
    found = await filtering.quality_filter(at, material)
    assert found["quality_score"].n == len([task for task in at.tasks if isinstance(task, Fill)]) == 2
    assert reasons(material) == {hygiene.REPEATS: 1}


async def test_each_answer_is_dropped_for_the_first_thing_that_is_wrong_with_it() -> None:
    poor, mismatched, ungrounded, lost, unscored, good = SUMS[:6]

    def change(task: Any) -> Any:
        question = asked(task).removeprefix("G")[: len(good)] if task.messages else ""
        if isinstance(task, Fill):
            shares = {poor: (1, 0, 0, 0, 0), ungrounded: (0, 0, 0.6, 0.4, 0)}
            return None if question == lost else filled(*shares.get(question, (0, 0, 0, 0, 1)))
        if question == unscored:
            return None
        return Scored(logprob=-9.0 if question == mismatched else -8.0 if not question else -1.0, tokens=4)

    material = given_answers([poor, mismatched, ungrounded, lost, unscored, good])
    found = await filtering.quality_filter(desk(change), material)

    assert {one.reason: one.content["question"] for one in material.dropped} == {
        "the judgement was given up": lost,
        "judged, its quality is below 6": poor,
        "its IFD could not be measured": unscored,
        "its question makes the answer less likely (IFD above 1)": mismatched,
        "the passage does not support the answer": ungrounded,
    }
    assert [one.provenance["prompt_id"] for one in material.rows] == [good]
    assert material.rows[0].provenance["ifd"] == 0.125
    assert {"quality": 10.0, "groundedness": 5.0}.items() <= material.rows[0].provenance["judge"].items()
    assert values(found) | {"quality_score": None, "mean_ifd": None} == {
        "quality_score": None,
        "quality_yield": 4 / 5,
        "mean_ifd": None,
        "ifd_yield": 2 / 3,
        "grounded_yield": 1 / 2,
    }
    assert found["mean_ifd"].value == pytest.approx((9 / 8 + 1 / 8 + 1 / 8) / 3)


async def test_a_system_turn_stands_in_the_rows_and_is_scored_with_them() -> None:
    material = given_answers(SUMS[:1])
    at = desk(settings={"system": "Be exact."})
    await filtering.quality_filter(at, material)
    (made,) = material.rows
    assert [turn["role"] for turn in made.fields["messages"]] == ["system", "user", "assistant"]
    scored = [task.messages for task in at.tasks if isinstance(task, Score)]
    assert [[turn.role for turn in messages] for messages in scored] == [["system", "user"], []]


@pytest.mark.parametrize(("templates", "slot"), [("standard", 4), ("pocket", 0)])
def test_groundedness_is_read_where_the_rubric_asks_for_it(templates: str, slot: int) -> None:
    assert lesson.groundedness_slot(load(templates).template("rubric")) == slot


async def test_of_several_judges_the_mean_counts_and_all_must_have_judged() -> None:
    def change(task: Any) -> Any:
        if not isinstance(task, Fill):
            return NotImplemented
        if task.model == PIN.model:
            return filled(0, 0, 0, 0, 1)
        return None if SUMS[1] in asked(task) else filled(0, 0, 1, 0, 0)

    lessons = [lesson.Lesson(prompt=prompt(question), row=row(question)) for question in SUMS[:2]]
    first, second = await lesson.judged(desk(otherwise(change), judges=(OTHER,)), lessons)
    assert (first.quality, first.groundedness) == (pytest.approx((10 + 5.5) / 2), 4.0)
    assert second.quality is None


# Format conversion


async def test_rows_that_do_not_come_back_or_are_too_long_are_dropped_and_counted() -> None:
    broken, long, lost = SUMS[:3]

    def change(task: Any) -> Any:
        question = task.messages[0].content
        if question == lost:
            return None
        problem = "the user turn does not come back" if question == broken else ""
        return Rendered(prompt_tokens=100 if question == long else 9, completion_tokens=4, problem=problem)

    material = Material(rows=[row(question) for question in SUMS[:10]])
    found = await conversion.format_conversion(desk(change, settings={"row_tokens": "100"}), material)
    assert found["round_trip_fraction"] == Measure(metric="round_trip_fraction", value=0.7, n=10)
    assert found["row_tokens"].value == 13
    assert reasons(material) == {
        "the user turn does not come back": 1,
        "it has more tokens than --set row_tokens allows": 1,
        "the judgement was given up": 1,
    }
    assert len(material.rows) == 7
