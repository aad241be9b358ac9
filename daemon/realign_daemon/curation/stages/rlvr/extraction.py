"""Extraction: stage 1 of RLVR. Problems out of passages and records, each with its answer or with what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.fields import value_of
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.stages import grounding, prompts, suites
from realign_daemon.curation.stages.measures import Measures, exact
from realign_daemon.curation.stages.prompts import Asking, Drawn
from realign_daemon.curation.stages.rlvr import checking, golds
from realign_daemon.curation.stages.rlvr.criteria import flaw_of_gold, flaw_of_question
from realign_daemon.curation.stages.rlvr.golds import Gold
from realign_daemon.curation.stages.rlvr.problem import Problem, note_unused, sound
from realign_daemon.curation.templates import Template, load
from realign_daemon.curation.verify.final import final_answer
from realign_daemon.curation.verify.text import answer_type

STAGE = "problem_extraction"
DOUBTFUL = "its answer neither stands in the passage nor do further readings agree on it"


def _stated(template: Template, text: str) -> Drawn:
    return template.text_of(text, "problem"), "" if template.schema is None else template.text_of(text, "answer")


ASKING = Asking(template="problem", read=_stated)


async def extract_problems(desk: Desk, material: Material) -> Measures:
    """Stage 1. Measures text_ratio; reports problem_yield: the share of passages and records that gave a problem."""
    measures = await grounding.read_sources(desk, material, load(desk.pin("target").templates))
    material.problems = []
    if desk.is_rejected(measures["text_ratio"]):
        return measures | exact("problem_yield", None, 0)  # no question to such text is worth the time
    await prompts.draw_prompts(desk, material, ASKING)
    desk.say("freezing the regression suites")
    material.suites_before = await suites.run(desk, adapter=None)
    await settle(desk, material)
    material.show(desk.stage.name, [_shown(problem) for problem in material.problems])
    offered = len(material.chunks) + len(material.records) - len(material.unasked)
    return measures | exact("problem_yield", len(sound(material)) / offered if offered else None, offered)


async def take_problems(desk: Desk, material: Material) -> str:
    """Where given records come in: with their answers they are problems, and sampling solutions comes first."""
    await grounding.read_sources(desk, material, load(desk.pin("target").templates))
    material.suites_before = await suites.run(desk, adapter=None)
    await prompts.draw_prompts(desk, material, ASKING)
    material.problems = []
    return "solution_generation"


async def settle(desk: Desk, material: Material) -> None:
    """Sets material.problems to one for every prompt: prompts may have come since the first stage, and some gone.

    Raises:
        BadInput: there are code problems, and no sandbox to run solutions in.
    """
    asked_for = {prompt.id for prompt in material.prompts}
    material.problems = [problem for problem in material.problems if problem.prompt.id in asked_for]
    known = {problem.prompt.id for problem in material.problems}
    fresh = [prompt for prompt in material.prompts if prompt.id not in known]
    tests = {
        record.chunk.id: _joined(value_of("tests", record.fields, desk.spec.columns)) for record in material.records
    }
    given = [_given(prompt, tests.get(prompt.chunk.id, "")) for prompt in fresh if prompt.task is None]
    if any(problem.is_code for problem in given):
        await checking.require_sandbox(desk)
        given = await checking.with_calls(desk, given)
    drawn = await _drawn(desk, [prompt for prompt in fresh if prompt.task is not None])
    for problem in (*given, *drawn):
        if problem.flaw:
            note_unused(material, STAGE, problem, problem.flaw)
    material.problems = material.problems + given + drawn


def _joined(tests: str) -> str:
    """Tests as one program, also where they came as a list of statements (MBPP)."""
    try:
        parsed: Any = json.loads(tests)
    except ValueError:
        return tests
    listed = cast("list[Any]", parsed) if isinstance(parsed, list) else []
    return "\n".join(listed) if listed and all(isinstance(one, str) for one in listed) else tests


def _given(prompt: Prompt, tests: str) -> Problem:
    """The problem of a record, whose answer may stand at the end of a worked solution (GSM8K, MATH)."""
    if tests:
        flaw = "" if prompt.gold else "the problem has no reference program"
        return Problem(prompt=prompt, answer_type="code", tests=tests, grounds="given", flaw=flaw)
    gold = final_answer(prompt.gold)
    return Problem(
        prompt=replace(prompt, gold=gold),
        answer_type=answer_type(gold),
        grounds="given",
        flaw=flaw_of_question(prompt.question) or flaw_of_gold(gold),
    )


async def _drawn(desk: Desk, drawn: Sequence[Prompt]) -> list[Problem]:
    flaws = {prompt.id: flaw_of_question(prompt.question) for prompt in drawn}
    asked = [prompt for prompt in drawn if not flaws[prompt.id]]
    found = dict(zip((prompt.id for prompt in asked), await golds.find(desk, asked), strict=True))
    return [_with_gold(prompt, found.get(prompt.id), flaws[prompt.id]) for prompt in drawn]


def _with_gold(prompt: Prompt, gold: Gold | None, flaw: str) -> Problem:
    if gold is None:
        return Problem(prompt=prompt, answer_type="text", flaw=flaw)
    return Problem(
        prompt=replace(prompt, gold=gold.answer),
        answer_type=answer_type(gold.answer),
        grounds=gold.grounds,
        stated_by=gold.stated_by,
        flaw=flaw_of_gold(gold.answer) or ("" if gold.grounds else DOUBTFUL),
    )


def _shown(problem: Problem) -> dict[str, object]:
    return {
        "problem": problem.prompt.question,
        "answer": problem.prompt.gold,
        "answer_type": problem.answer_type,
        "grounds": problem.grounds,
        "flaw": problem.flaw,
    }
