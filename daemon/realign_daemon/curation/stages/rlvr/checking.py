"""Checking: calls to the verifier in the worker child, in batches, the same question asked once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.stages.rlvr.problem import Problem
from realign_daemon.curation.verify.result import Checkability, Result
from realign_daemon.errors import BadInput

BY_MATHEMATICS = ("number", "expression")  # other answers are compared as words

# A comparison takes milliseconds; one that runs this long has met an expression made to be slow.
MATH_TIMEOUT_S = 2.0
# Test suites of MBPP and HumanEval run in well below a second.
CODE_TIMEOUT_S = 10.0
# Even if every item ran into its limit, a call would end within the desk's.
MATH_BATCH, CODE_BATCH = 250, 50


async def verdicts(desk: Desk, pairs: Sequence[tuple[str, str]]) -> list[Result]:
    """What comparing gives for each answer and gold."""
    return await _math(desk, "verify.math.2", "items", [{"answer": answer, "gold": gold} for answer, gold in pairs])


async def program_verdicts(desk: Desk, pairs: Sequence[tuple[str, str]]) -> list[Result]:
    """What running gives for each program and its tests."""
    return await _code(desk, "verify.code", [{"program": program, "tests": tests} for program, tests in pairs])


async def checkability(desk: Desk, problems: Sequence[Problem]) -> dict[str, Checkability]:
    """By prompt id, whether a program can tell right from wrong."""
    math = [problem for problem in problems if not problem.is_code]
    code = [problem for problem in problems if problem.is_code]
    found: list[Checkability] = [
        *await _math(desk, "verify.checkable.2", "golds", [problem.prompt.gold for problem in math]),
        *await _code(
            desk, "verify.code_checkable", [{"reference": one.prompt.gold, "tests": one.tests} for one in code]
        ),
    ]
    return {problem.prompt.id: one for problem, one in zip([*math, *code], found, strict=True)}


async def with_calls(desk: Desk, problems: Sequence[Problem]) -> list[Problem]:
    """The problems, those with tests with what may be shown of these."""
    tests = [problem.tests for problem in problems]
    calls = await desk.compute("verify.called", {"tests": tests}) if any(tests) else tests
    return [replace(problem, calls=shown) for problem, shown in zip(problems, calls, strict=True)]


async def require_sandbox(desk: Desk) -> None:
    """Raises BadInput when programs cannot be run safely here."""
    found = await desk.compute("verify.sandbox", {"asked_by": desk.spec.job_id})
    if not found["available"]:
        message = (
            f"the sources hold code problems and this machine cannot run programs safely ({found['reason']}): "
            "install a sandbox, or leave the problems with tests out"
        )
        raise BadInput(message)


async def checker_of(desk: Desk, problem: Problem) -> str:
    """What checks answers to the problem, by name and version."""
    if problem.is_code:
        found = await desk.compute("verify.sandbox", {"asked_by": desk.spec.job_id})
        return f"tests under {found['kind'] or 'no sandbox'}"
    return f"math-verify {version('math-verify')}" if problem.answer_type in BY_MATHEMATICS else "the same words"


async def _math(desk: Desk, function: str, argument: str, items: Sequence[Any]) -> list[Any]:
    return await _in_batches(desk, function, argument, items, size=MATH_BATCH, timeout_s=MATH_TIMEOUT_S)


async def _code(desk: Desk, function: str, items: Sequence[Any]) -> list[Any]:
    return await _in_batches(desk, function, "items", items, size=CODE_BATCH, timeout_s=CODE_TIMEOUT_S)


async def _in_batches(
    desk: Desk, function: str, argument: str, items: Sequence[Any], *, size: int, timeout_s: float
) -> list[Any]:
    """The function's results in the order of the items."""
    names = [json.dumps(item, sort_keys=True) for item in items]
    once = dict(zip(names, items, strict=True))
    found: dict[str, Any] = {}
    for start in range(0, len(once), size):
        batch = list(once)[start : start + size]
        results = await desk.compute(function, {argument: [once[name] for name in batch], "timeout_s": timeout_s})
        found.update(zip(batch, results, strict=True))
        desk.say(f"checked {start + len(batch)} of {len(once)}")
    return [found[name] for name in names]
