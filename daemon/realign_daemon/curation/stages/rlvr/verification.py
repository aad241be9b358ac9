"""Verification: stage 3 of RLVR. What a program says of every solution, and of the problems themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Response
from realign_daemon.curation.stages.measures import Measures, rate
from realign_daemon.curation.stages.rlvr import checking
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution, note_unused, sound
from realign_daemon.curation.templates import load
from realign_daemon.curation.verify.final import final_answer
from realign_daemon.curation.verify.result import Result

UNCHECKABLE = "no program can check its answer"
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)


async def verify_solutions(desk: Desk, material: Material) -> Measures:
    """Stage 3. Measures verifiability: the share of all problems offered whose answer a program can check.

    Those that stage 1 found flawed are among the offered ones: the figure is about the sources, before any filter.
    """
    material.problems = await _checked(desk, material)
    usable = {problem.prompt.id: problem for problem in sound(material)}
    responses = [response for response in material.responses if response.prompt.id in usable]
    desk.say(f"checking {len(responses)} solutions")
    material.solutions = await solutions_of(desk, usable, responses)
    material.show(desk.stage.name, [_shown(one) for found in material.solutions.values() for one in found])
    return {"verifiability": rate("verifiability", len(usable), len(material.problems))}


async def solutions_of(
    desk: Desk, problems: Mapping[str, Problem], responses: Sequence[Response]
) -> dict[str, list[Solution]]:
    """The checked solutions by prompt id; every response must be to one of the problems."""
    found: dict[str, list[Solution]] = {}
    math = [response for response in responses if not problems[response.prompt.id].is_code]
    code = [response for response in responses if problems[response.prompt.id].is_code]
    solving = load(desk.pin("target").templates).solving
    said = [(solving.everyday(final_answer(one.text)), problems[one.prompt.id].prompt.gold) for one in math]
    written = [(program_of(one.text), problems[one.prompt.id].tests) for one in code]
    in_form = [solving.is_in_form(one.text) for one in math] + [_FENCED.search(one.text) is not None for one in code]
    results: list[Result] = [*await checking.verdicts(desk, said), *await checking.program_verdicts(desk, written)]
    for response, (answer, _), form, result in zip([*math, *code], [*said, *written], in_form, results, strict=True):
        solution = Solution(response=response, answer=answer, is_in_form=form, result=result)
        found.setdefault(response.prompt.id, []).append(solution)
    return found


def program_of(text: str) -> str:
    """The program in an answer: its last block of code, or all of it."""
    blocks = _FENCED.findall(text)
    return blocks[-1] if blocks else text


async def _checked(desk: Desk, material: Material) -> list[Problem]:
    """All problems, those that no program can check with that as their flaw."""
    usable = sound(material)
    desk.say(f"checking whether {len(usable)} answers can be checked")
    found = await checking.checkability(desk, usable)
    checked = [
        problem
        if (one := found.get(problem.prompt.id)) is None or one["checkable"]
        else replace(problem, flaw=f"{UNCHECKABLE}: {one['reason']}")
        for problem in material.problems
    ]
    for problem in checked:
        if problem.flaw.startswith(UNCHECKABLE):  # also those that an earlier run of this stage found
            note_unused(material, desk.stage.name, problem, problem.flaw)
    return checked


def _shown(solution: Solution) -> dict[str, object]:
    prompt = solution.response.prompt
    return {
        "problem": prompt.question,
        "gold": prompt.gold,
        "solution": solution.response.text,
        "answer": solution.answer,
        "result": solution.result,
    }
