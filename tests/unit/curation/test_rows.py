"""Rows: which are drawn where --count leaves some out, and what their provenance says of how they came to be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Material, Pair, Response, Row
from realign_daemon.curation.stages import gaps, judging, rows
from realign_daemon.engine.api import Filled, ModelId
from realign_daemon.testing.scripted_desk import PIN, ScriptedDesk, asked, generation, prompt

SECOND = replace(PIN, name="second", model=ModelId("n"))
PLACE: dict[str, Any] = {"source": {"name": "a.txt", "sha256": "5a", "section": "s"}, "line": 7, "spans": []}


def row(name: str, *, is_held_out: bool = False) -> Row:
    fields = {"prompt": name}
    return Row(fields={"id": row_id(fields), **fields}, provenance=PLACE, is_held_out=is_held_out)


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 40), st.integers(0, 2**31))
def test_rows_beyond_the_count_are_drawn_from_training_rows_only(held_out: list[bool], count: int, seed: int) -> None:
    made = [row(str(place), is_held_out=held) for place, held in enumerate(held_out)]
    spare = rows.beyond_count(made, count=count, seed=seed)
    training = [one.fields["id"] for one in made if not one.is_held_out]
    assert spare <= set(training)
    assert len(training) - len(spare) == min(count, len(training))
    assert rows.beyond_count(made[::-1], count=count, seed=seed) == spare
    assert rows.beyond_count(made, count=None, seed=seed) == frozenset()


def test_rows_are_drawn_from_all_over_the_source() -> None:
    made = [row(str(place)) for place in range(100)]
    spare = rows.beyond_count(made, count=20, seed=0)
    assert sum(one.fields["id"] not in spare for one in made[:50]) in range(5, 16)
    assert rows.beyond_count(made, count=20, seed=1) != spare


def test_others_take_the_room_of_rows_that_were_dropped_by_hand() -> None:
    made = [row(str(place)) for place in range(9)]
    first = rows.within_count(ScriptedDesk(lambda _: None, count=4), Material(), made)
    unwanted = str(first[0].fields["id"])
    material = Material()

    refilled = rows.within_count(ScriptedDesk(lambda _: None, count=4, drops=(f"row {unwanted}",)), material, made)

    kept = {str(one.fields["id"]) for one in refilled}
    assert len(kept) == 4
    assert unwanted not in kept
    assert {str(one.fields["id"]) for one in first[1:]} <= kept
    reasons = [one.reason for one in material.dropped]
    assert reasons == [f"dropped by hand: row {unwanted}", *["more rows than --count asked for"] * 4]
    assert all(one.content["source"] == "a.txt" and one.content["line"] == 7 for one in material.dropped)


def filled(*probabilities: float) -> Filled:
    return Filled(probabilities=(probabilities,), mass=(1.0,), prompt_tokens=1)


def knowing(task: Any) -> Filled:
    line = asked(task)
    if line.startswith("C"):
        return filled(*((1, 0, 0) if "=good|" in line else (0, 1, 0)))
    return filled(0, 0, 0, 1 / 3, 2 / 3) if line.endswith("good") else filled(1, 0, 0, 0, 0)


async def test_the_provenance_of_a_pair_has_every_word_of_every_judge_and_where_it_was_said() -> None:
    desk = ScriptedDesk(knowing, judges=(SECOND,))
    asked_about = prompt("1=")
    responses = [
        Response(prompt=asked_about, text=text, task=generation(), is_truncated=False) for text in ("good", "bad")
    ]
    material = Material(prompts=[asked_about], responses=responses)
    await judging.score_pairs(desk, material)
    await gaps.validate_gaps(desk, material)
    (made,) = material.rows
    assert (made.fields["chosen"], made.fields["rejected"]) == ("good", "bad")
    where = {"unit": "unit", "node": "node"}
    good, bad = {"scores": {"overall": 4.6667}}, {"scores": {"overall": 1.0}}
    said = [
        {"of": "chosen", "template": "pocket.rubric@1", **good, **where},
        {"of": "rejected", "template": "pocket.rubric@1", **bad, **where},
        {"of": "chosen, afresh", "template": "pocket.rubric_again@1", **good, **where},
        {"of": "rejected, afresh", "template": "pocket.rubric_again@1", **bad, **where},
        {"order": ["chosen", "rejected"], "winner": "chosen", "template": "pocket.compare@1", **where},
        {"order": ["rejected", "chosen"], "winner": "chosen", "template": "pocket.compare@1", **where},
    ]
    assert made.provenance["judge"]["models"] == [
        {"model": name, "model_sha256": model, "seed": None, "said": said}
        for name, model in (("pocket", "m"), ("second", "n"))
    ]
    assert made.provenance["judge"]["gap"] == 0.9167


async def test_what_a_judge_of_five_aspects_said_of_a_pair_takes_about_a_kibibyte() -> None:
    def five(task: Any) -> Filled:
        odds = tuple(0.1 + 0.05 * place for place in range(len(task.form[0].choices)))
        return Filled(probabilities=(odds,) * len(task.form), mass=(1.0,) * len(task.form), prompt_tokens=1)

    roles = dict.fromkeys(("target", "generator", "judge"), replace(PIN, templates="standard"))
    desk = ScriptedDesk(five, roles=roles)
    question = prompt("why?")
    responses = [
        Response(prompt=question, text=text, task=generation(), is_truncated=False) for text in ("good", "bad")
    ]
    one, other = await judging.rate_responses(desk, responses, template="rubric")
    assert [name for name, _ in one.judgements[0].scores] == [
        "instruction_following",
        "truthfulness",
        "helpfulness",
        "clarity",
        "groundedness",
    ]
    (compared,) = await judging.compare(desk, [(question, "good", "bad")])
    assert compared is not None
    pair = Pair(chosen=one, rejected=other, comparison=compared, gap=0.0, afresh=(one, other))
    judged = rows.preference_row(desk, pair).provenance["judge"]
    without_names_of_units = len(json.dumps(judged)) - 6 * len("unit")
    assert without_names_of_units + 6 * 64 < 2048
