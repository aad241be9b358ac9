"""Anti-hallucination, question by question: what answers are worth, what is known, twins, and the rows made of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.curation.antihallucination_world import Model, desk_of, generated, grade, held_out, probe, run

from realign_daemon.curation.material import Material
from realign_daemon.curation.stages.antihallucination import asking, refusals
from realign_daemon.curation.stages.antihallucination.agreement import agreement, usual
from realign_daemon.curation.stages.antihallucination.parts import parts_of
from realign_daemon.curation.stages.antihallucination.probe import Knowledge, Question
from realign_daemon.curation.stages.antihallucination.twins import make_twins
from realign_daemon.engine.api import Fill, Generate, Generated
from realign_daemon.testing.scripted_desk import PIN, asked, prompt


async def test_answers_are_worth_what_gold_refusal_and_judge_say_in_that_order() -> None:
    said = {"12+34=": ["640", "?", "650", ""], "baba=": ["red", "blue", "?", "red"], "pepe=": ["lime"] * 4}
    counts: Counter[str] = Counter()

    def answer(task: Any) -> Any:
        if isinstance(task, Fill):
            return None if asked(task) == "Gpepe=lime" else grade(asked(task), 5)
        counts[asked(task)] += 1
        place = counts[asked(task)] - 1
        return generated(said[asked(task)][place], 0.25, is_whole=place < 3)

    desk = desk_of(answer, settings={"samples": "4"})
    questions = [Question(prompt=one) for one in (prompt("12+34=", gold="46"), prompt("baba="), prompt("pepe="))]

    found = await asking.ask(desk, questions, adapter=None)

    assert [[(one.text, one.outcome) for one in probe.answers] for probe in found] == [
        [("640", "right"), ("?", "abstained"), ("650", "wrong")],
        [("red", "right"), ("blue", "wrong"), ("?", "abstained")],
        [],
    ]
    assert {round(one.probability, 9) for probe in found for one in probe.answers} == {0.25}
    judged = {asked(task) for task in desk.tasks if isinstance(task, Fill)}
    assert judged == {"Gbaba=red", "Gbaba=blue", "Gpepe=lime"}


@pytest.mark.parametrize(
    ("worths", "twin", "knowledge"),
    [
        ("rrrrwwww", "", "known"),
        ("rrrwwwww", "", "unsure"),
        ("rwwwwwww", "", "unsure"),
        ("wwwwaaaa", "", "unknown"),
        ("aaaaaaaa", "", "unknown"),
        ("", "", "unsure"),
        ("rrrr....", "", "known"),
        ("rrr.....", "", "unsure"),
        ("www.....", "", "unsure"),
        ("wwwwaaaa", "bako", "unknown"),
        ("rrrrrrrr", "bako", "unsure"),
    ],
)
def test_half_right_is_known_never_right_is_unknown(worths: str, twin: str, knowledge: Knowledge) -> None:
    """A dot is a try without an answer that can be used; of too few answers nothing is concluded."""
    assert probe("zulo", worths, twin=twin).knowledge == knowledge


async def test_a_long_answer_is_not_doubted_for_its_length_and_equal_ones_are_as_likely() -> None:
    """The batch that an answer was in shows in the fifth digit of its log-probability."""

    def answer(task: Any) -> Any:
        if isinstance(task, Fill):
            return grade(asked(task), 5)
        jitter = task.seed % 7 * 1e-6
        return replace(generated("red"), completion_tokens=4, logprob=4 * math.log(0.8) + jitter)

    found = await asking.ask(desk_of(answer), [Question(prompt=prompt("baba="))], adapter=None)

    assert {one.probability for one in found[0].answers} == {0.8}


def test_agreement_is_with_all_samples_and_the_usual_answer_is_the_first_of_the_most_frequent() -> None:
    found = probe("bako", "wraw")
    assert [agreement(found, one) for one in found.answers] == [0.5, 0.25, 0.25, 0.5]
    assert usual(found, "wrong") == found.answers[0]
    assert usual(probe("bako", "rr"), "wrong") is None


@pytest.mark.parametrize("seed", range(4))
def test_the_scale_has_whole_sections_to_itself(seed: int) -> None:
    parts = parts_of(held_out(), seed=seed)
    used = {(one.prompt.chunk.section, parts.of(one.prompt)) for one in held_out()}
    assert Counter(part for _, part in used) == {"scaling": 3, "test": 6}


@pytest.mark.parametrize("sections", [1, 2, 9])
def test_twins_are_used_where_their_questions_are(sections: int) -> None:
    parts = parts_of(held_out(sections=sections), seed=3)
    counts = Counter(parts.of(one.prompt) for one in held_out(sections=sections))
    assert counts["scaling"] == pytest.approx(250 / 2 if sections == 2 else 250 / 3, abs=30)
    assert counts["training"] == 0
    for one in held_out(sections=sections):
        chunk = one.prompt.chunk
        twin = probe("zulo", "w", twin=one.prompt.question[:-1], is_held_out=True, section=chunk.section)
        assert parts.of(twin.prompt) == parts.of(one.prompt)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.none() | st.integers(1, 80), st.integers(0, 9))
def test_neither_answers_nor_refusals_outweigh_the_others(
    known: int, unknown: int, count: int | None, seed: int
) -> None:
    probes = [probe(f"k{number}", "rr") for number in range(known)]
    probes += [probe(f"u{number}", "ww") for number in range(unknown)]
    labels = Counter(one.knowledge for one in refusals.balanced(probes, count=count, seed=seed))
    most_refusals = min(known, unknown)
    most = most_refusals + min(known, 2 * most_refusals)
    assert labels.total() == (most if count is None else min(most, count))
    assert labels["known"] <= 2 * labels["unknown"]
    assert labels["unknown"] <= labels["known"] or count == 1


def test_questions_whose_twin_is_there_come_first() -> None:
    probes = [probe(f"k{number}", "rr") for number in range(30)]
    probes += [probe(f"z{number}", "ww", twin=f"k{number}") for number in range(5)]
    kept = {one.prompt.question for one in refusals.balanced(probes, count=None, seed=0)}
    assert {f"k{number}=" for number in range(5)} <= kept
    assert len(kept) == 15


@pytest.mark.parametrize(
    ("method", "refused", "rejected"),
    [("sft", {"zulo=", "kipu="}, [None] * 4), ("dpo", {"zulo="}, ["?", "?", "w"])],
)
async def test_by_preference_a_refusal_is_set_against_the_usual_wrong_answer(
    method: str, refused: set[str], rejected: list[str | None]
) -> None:
    never_wrong = probe("kipu", "aaaa")
    material = Material(probes=[probe("bako", "rrrw"), probe("ludo", "rrrr"), probe("zulo", "wwww"), never_wrong])
    desk = desk_of(Model(), settings={"method": method})

    await refusals.make_rows(desk, material)
    await run(desk, material, "training")

    said = {row.fields["messages"][0]["content"]: row.fields["messages"][1]["content"] for row in material.rows}
    assert said == {"bako=": "r", "ludo=": "r", **dict.fromkeys(refused, "?")}
    assert [row.fields.get("rejected") for row in material.rows] == rejected
    (training,) = desk.trainings
    rows = [json.loads(line) for line in desk.blobs.read(training.dataset).decode().splitlines()]
    assert (training.method, [row.get("rejected") for row in rows]) == (method, rejected)


async def test_where_the_generator_can_twins_rest_on_false_premises_too() -> None:
    asks = [f"When was {name} Meyer born?" for name in ("Anna", "Bert", "Clara", "Dora", "Emil", "Fritz")]
    prompts = [prompt(question) for question in [*asks, "what boils at 78 degrees?"]]

    def answer(task: Generate) -> Generated | None:
        return None if "Fritz" in asked(task) else generated(json.dumps({"question": f"What if {task.seed}?"}))

    roles = dict.fromkeys(("target", "generator", "judge"), replace(PIN, templates="standard"))
    twins = await make_twins(
        desk_of(answer, roles=roles, thinking={"generator": "strip"}), Material(prompts=prompts), prompts
    )

    origins = Counter(twin.origin for twin in twins)
    assert set(origins) == {"absent_name", "false_premise"}
    assert {twin.twin: twin.origin for twin in twins}["what boils at 78 degrees?"] == "false_premise"
    assert not any(name in twin.prompt.question for twin in twins for name in ("Anna", "Bert", "Clara", "Dora"))
    tasks = [twin.prompt.task for twin in twins if twin.origin == "false_premise"]
    assert {task.thinking if task else None for task in tasks} == {"strip"}
    assert {twin.twin for twin in twins} | {asks[-1]} == {one.question for one in prompts}
