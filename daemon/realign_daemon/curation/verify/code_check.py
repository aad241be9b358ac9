"""Code check: the worker functions that run programs against tests, and say which tests can tell right from wrong.

The judge is this process, outside of the sandbox. What a program may do inside (leave with status 0, patch built-ins,
take over the script that runs it) gets it nowhere: it has to send the expected values, which it was never shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict, TypeVar

from realign_daemon.curation.verify.code_mutants import mutants
from realign_daemon.curation.verify.code_tests import (
    BadTests,
    CallTests,
    Case,
    Tests,
    answers_to_guesses,
    calls,
    printed,
    read_tests,
)
from realign_daemon.curation.verify.result import Checkability, Result
from realign_daemon.curation.verify.sandbox import require_sandbox, run

TIMEOUT_S = 5.0
MAX_PROGRAM_CHARACTERS = 200_000
_PARALLEL = 2  # the machine has an engine to feed, too
_CONTAINERS: dict[str, Callable[[Iterable[Any]], object]] = {
    "list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict,
}  # fmt: skip
_T = TypeVar("_T")
_R = TypeVar("_R")


class CodeItem(TypedDict):
    """A program and the tests it is run against, see code_tests.py for their two forms."""

    program: str
    tests: str


class ReferenceItem(TypedDict):
    """A program known to be right, and its tests."""

    reference: str
    tests: str


def verify_code(items: Sequence[CodeItem], timeout_s: float = TIMEOUT_S) -> list[Result]:
    """The result for each item, in order; the deadline is for all tests of one item together.

    correct: every value or output is as expected. gold_unparseable: the tests cannot be judged from outside.
    verifier_error: the sandbox failed for this item.

    Raises:
        NoSandbox: programs cannot be run in safety on this machine; none was run.
    """
    return _side_by_side(lambda item: _verified(item["program"], item["tests"], timeout_s), items)


def code_checkable(items: Sequence[ReferenceItem], timeout_s: float = TIMEOUT_S) -> list[Checkability]:
    """For each item: whether the tests pass the reference, and fail an empty program and a mutant of the reference.

    Tests that a constant passes are refused as well: True for every question is no solution.

    Raises:
        NoSandbox: programs cannot be run in safety on this machine; none was run.
    """
    return _side_by_side(lambda item: _checkability(item["reference"], item["tests"], timeout_s), items)


def called(tests: Sequence[str]) -> list[str]:
    """For each tests, how they use a solution: all that may be shown to whoever writes one."""
    return [calls(one) for one in tests]


def _side_by_side(function: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    require_sandbox()
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="verify.code") as threads:
        return list(threads.map(function, items))


def _checkability(reference: str, tests: str, timeout_s: float) -> Checkability:
    reason = _objection(reference, tests, timeout_s)
    return {"checkable": not reason, "reason": reason}


def _objection(reference: str, tests: str, timeout_s: float) -> str:
    try:
        taken_apart = read_tests(tests)
    except BadTests as error:
        return str(error)
    if answers_to_guesses(taken_apart):
        return "a program that always gives the same simple answer passes the tests"
    result = _judged(reference, taken_apart, timeout_s)
    if result != "correct":
        return f"the tests do not pass on the reference: {result}"
    if _judged("", taken_apart, timeout_s) != "wrong":
        return "the tests do not fail on an empty program"
    if all(_judged(mutant, taken_apart, timeout_s) in {"correct", "verifier_error"} for mutant in mutants(reference)):
        return "the tests fail on no mutant of the reference"
    return ""


def _verified(program: str, tests: str, timeout_s: float) -> Result:
    try:
        return _judged(program, read_tests(tests), timeout_s)
    except BadTests:
        return "gold_unparseable"


def _judged(program: str, tests: Tests, timeout_s: float) -> Result:
    if len(program) > MAX_PROGRAM_CHARACTERS:
        return "wrong"
    if isinstance(tests, CallTests):
        return _judged_by_calls(program, tests, timeout_s)
    deadline = time.monotonic() + timeout_s
    for case in tests:
        result = _judged_by_case(program, case, deadline - time.monotonic())
        if result != "correct":
            return result
    return "correct"


def _judged_by_calls(program: str, tests: CallTests, timeout_s: float) -> Result:
    ran = run(program, steps=tests.steps, timeout_s=timeout_s)
    if ran.how in {"timeout", "never_started"}:
        return "timeout" if ran.how == "timeout" else "verifier_error"
    if len(ran.results) != len(tests.expected):
        return "wrong"
    pairs = zip(tests.expected, ran.results, strict=True)
    return "correct" if all(expected.accepts(_decoded(line)) for expected, line in pairs) else "wrong"


def _judged_by_case(program: str, case: Case, left_s: float) -> Result:
    if left_s <= 0:
        return "timeout"
    ran = run(program, steps=None, stdin=case.stdin.encode(), timeout_s=left_s)
    if ran.how in {"timeout", "never_started"}:
        return "timeout" if ran.how == "timeout" else "verifier_error"
    same = printed(ran.output.decode(errors="replace")) == printed(case.stdout)
    return "correct" if ran.how == "ended" and same else "wrong"


class _NoValue:
    """What equals nothing that tests may expect."""


def _decoded(line: str) -> object:
    """The value that code_inside.encoded wrote; what is no such line, or no plain data, equals nothing."""
    try:
        return _value(json.loads(line))
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        return _NoValue()


def _value(node: Any) -> Any:  # noqa: ANN401, PLR0911 - one for each type
    match node:
        case ["=", None | bool() as value]:
            return value
        case ["int", str(text)]:
            return int(text, 16)
        case ["float", str(text)]:
            return float.fromhex(text)
        case ["complex", str(real), str(imaginary)]:
            return complex(float.fromhex(real), float.fromhex(imaginary))
        case ["str", str(text)]:
            return text
        case ["bytes", str(text)]:
            return bytes.fromhex(text)
        case [str(kind), [*items]] if kind in _CONTAINERS:
            return _CONTAINERS[kind](_value(item) for item in items)
        case _:
            raise ValueError("no value")
