"""Prompts: drawn evenly over the sources, taken over from records, never twice, and more of them on demand."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.desk import PILOT_ITEMS
from realign_daemon.curation.documents.document import Chunk, Record
from realign_daemon.curation.material import Material
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.stages import prompts
from realign_daemon.engine.api import Generated, Sha256
from realign_daemon.testing.scripted_desk import ScriptedDesk, asked, chunk
from realign_planner.volume import asked_about


def written(text: str) -> Generated:
    return Generated(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=0.0)


def repeats_its_passage(task: Any) -> Generated:
    return written(asked(task).removeprefix("P") + "=")


def chunks(n: int, *, source: str = "a.txt", sections: int = 4) -> list[Chunk]:
    return [chunk(f"{source}{i}", text=f"{source} {i}", section=f"s{i % sections}", source=source) for i in range(n)]


def record(line: int, **fields: str) -> Record:
    return Record(line=line, fields=fields, chunk=chunk(f"r{line}", source="r.jsonl"))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 120))
def test_a_draw_has_the_size_asked_for_and_something_of_every_source(sizes: list[int], wanted: int) -> None:
    everything = [one for number, size in enumerate(sizes) for one in chunks(size, source=f"{number}.txt")]
    drawn = prompts.spread(everything, wanted)
    assert len(drawn) == min(wanted, len(everything))
    assert len({one.id for one in drawn}) == len(drawn)
    if wanted >= len(sizes):
        assert {one.source for one in drawn} == {one.source for one in everything}


def test_a_draw_from_a_source_that_repeats_a_pattern_sees_all_of_the_pattern() -> None:
    drawn = prompts.spread(chunks(120, sections=6), 20)
    assert {one.section for one in drawn} == {f"s{number}" for number in range(6)}


async def test_a_pilot_asks_about_few_passages_and_leaves_the_rest_for_later() -> None:
    desk, material = ScriptedDesk(repeats_its_passage, is_pilot=True), Material(chunks=chunks(100))
    await prompts.draw_prompts(desk, material)
    assert (len(material.prompts), len(material.unasked)) == (PILOT_ITEMS, 100 - PILOT_ITEMS)


async def test_widening_adds_prompts_of_passages_that_were_not_asked_about_and_ends_when_there_are_none() -> None:
    desk, material = ScriptedDesk(repeats_its_passage, count=1), Material(chunks=chunks(120))
    await prompts.draw_prompts(desk, material)
    before = list(material.prompts)
    came = await prompts.widen(desk, material)
    assert material.prompts[: len(before)] == before
    assert len(material.prompts) == len(before) + came == 120
    assert len({prompt.chunk.id for prompt in material.prompts}) == 120
    assert {prompt.is_held_out for prompt in material.prompts if prompt.chunk.section == "s1"} in ({True}, {False})
    assert await prompts.widen(desk, material) == 0


async def test_records_come_with_their_answers_and_a_question_is_never_asked_twice() -> None:
    material = Material(
        chunks=[chunk("c", text="What is it?"), chunk("d", text="new")],
        records=[
            record(1, question="What is it?=", answer=" 4 "),
            record(2, q="no"),
            record(3, problem="what is it?="),
        ],
    )
    desk = ScriptedDesk(repeats_its_passage)
    await prompts.draw_prompts(desk, material)
    assert [(one.question, one.gold, one.task is None) for one in material.prompts] == [
        ("What is it?=", "4", True),
        ("new=", "", False),
    ]
    assert sorted(one.reason for one in material.dropped) == [
        "the question is there already",
        "the question is there already",
        "the record has no question",
    ]


async def test_a_job_that_appends_asks_nothing_that_the_earlier_one_has() -> None:
    earlier = [{"prompt": "a.txt 0="}, {"messages": [{"role": "user", "content": "A.TXT 1="}]}]
    desk = ScriptedDesk(repeats_its_passage, blobs={"e": "\n".join(map(json.dumps, earlier))}, earlier=Sha256("e"))
    material = Material(chunks=chunks(4))
    await prompts.draw_prompts(desk, material)
    assert [one.question for one in material.prompts] == ["a.txt 2=", "a.txt 3="]


async def test_questions_are_compared_with_earlier_ones_as_rows_hold_them_without_personal_data() -> None:
    earlier = [
        {"prompt": "Who is [EMAIL]?"},
        {"prompt": "Who is bob@example.org?"},
    ]  # the latter of a job with pii=keep
    desk = ScriptedDesk(repeats_its_passage, blobs={"e": "\n".join(map(json.dumps, earlier))}, earlier=Sha256("e"))
    asked_before = record(1, question="Who is ada@lovelace.org?")
    material = Material(records=[asked_before, record(2, question="Who is Ada?")])
    await prompts.draw_prompts(desk, material)
    assert [one.question for one in material.prompts] == ["Who is Ada?"]
    (dropped,) = material.dropped
    assert (dropped.reason, dropped.content["question"]) == (prompts.EARLIER, "Who is ada@lovelace.org?")


def problems(n: int) -> list[Record]:
    return [record(line, question=f"what is {line}?", answer=str(line)) for line in range(n)]


async def test_a_pilot_takes_records_and_passages_spread_over_all_sources() -> None:
    material = Material(chunks=chunks(100), records=problems(300))
    await prompts.draw_prompts(ScriptedDesk(repeats_its_passage, is_pilot=True), material)
    assert sum(prompt.task is None for prompt in material.prompts) == 15
    assert len(material.prompts) == PILOT_ITEMS


async def test_a_count_bounds_the_records_of_sources_and_widening_takes_more_of_them() -> None:
    desk, material = ScriptedDesk(repeats_its_passage, count=1), Material(records=problems(300))
    await prompts.draw_prompts(desk, material)
    assert len(material.prompts) == asked_about(1)
    assert await prompts.widen(desk, material) == 52  # half as many again
    assert not desk.tasks


async def test_rows_that_were_given_are_all_looked_at_whatever_the_count() -> None:
    data = SourceSpec(name="problems.jsonl", sha256=Sha256("d"), size_bytes=1)
    material = Material(records=problems(300))
    await prompts.draw_prompts(ScriptedDesk(repeats_its_passage, count=1, data=data), material)
    assert len(material.prompts) == 300
