"""Tests taken apart: questions go in, answers stay out."""

from __future__ import annotations

import pytest

from realign_daemon.curation.verify.code_mutants import mutants
from realign_daemon.curation.verify.code_tests import (
    SCRIPT,
    BadTests,
    CallTests,
    Case,
    answers_to_guesses,
    calls,
    read_tests,
)


def taken_apart(tests: str) -> tuple[list[str], list[object]]:
    read = read_tests(tests)
    assert isinstance(read, CallTests)
    return [step.source for step in read.steps], [expected.value for expected in read.expected]


@pytest.mark.parametrize(
    ("tests", "steps", "answers"),
    [
        ("assert f(2) == 4", ["f(2)"], [4]),
        ("assert [1] == f(2)", ["f(2)"], [[1]]),
        ("assert f(2) == 4, 'two doubled'", ["f(2)"], [4]),
        ("assert f(1) == 2 and f(2) == 3", ["f(1)", "f(2)"], [2, 3]),
        ("assert f(1) is None", ["f(1)"], [None]),
        ("assert not f(1)\nassert f(2)", ["bool(f(1))", "bool(f(2))"], [False, True]),
        ("assert abs(f(1) - 0.5) < 1e-6", ["f(1)"], [0.5]),
        ("import math\nassert math.isclose(f(1), 0.5)", ["import math", "f(1)"], [0.5]),
        ("given = [1]\nwanted = [2]\nassert f(given) == wanted", ["given = [1]", "f(given)"], [[2]]),
        ("a = [3, 1]\nsort(a)\nassert a == [1, 3]", ["a = [3, 1]", "sort(a)", "a"], [[1, 3]]),
        ("for n, m in [(1, 2), (2, 3)]:\n    assert f(n) == m", ["f(1)", "f(2)"], [2, 3]),
        ("cases = [(1, 2)]\nfor n, m in cases:\n    assert f(n) == m", ["f(1)"], [2]),
        ("def check(candidate):\n    assert candidate(1) == 2\ncheck(f)", ["f(1)"], [2]),
    ],
)
def test_no_answer_is_among_the_steps(tests: str, steps: list[str], answers: list[object]) -> None:
    assert taken_apart(tests) == (steps, answers)
    assert calls(tests) == "\n".join(steps)


def test_of_tests_that_are_no_calls_nothing_is_shown() -> None:
    assert calls('[{"stdin": "1\\n", "stdout": "secret"}]') == SCRIPT
    assert calls("assert f(1) != 2") == ""


def test_tests_of_scripts_are_inputs_and_outputs() -> None:
    assert read_tests('[{"stdin": "1\\n", "stdout": "2\\n"}]') == (Case(stdin="1\n", stdout="2\n"),)


@pytest.mark.parametrize(
    "tests",
    [
        "",
        "f(1)",
        "assert f(1) == f(1)",
        "assert f(1) != 2",
        "assert f(1) > 2",
        "assert 1 == 1",
        "assert True",
        "assert (lambda: True)",
        "assert f(1) == 2 or True",
        "if f(1):\n    assert f(1) == 2",
        "try:\n    f(1)\nexcept ValueError:\n    assert f(2) == 3",
        "class Test:\n    def test(self):\n        assert f(1) == 2",
        "assert f(",
        "[]",
        '["1"]',
        '[{"stdin": 1, "stdout": 2}]',
        "(" * 5_000,
        "[" * 50_000,
    ],
)
def test_tests_that_only_the_program_could_judge_are_refused(tests: str) -> None:
    with pytest.raises(BadTests):
        read_tests(tests)


@pytest.mark.parametrize(
    ("tests", "told_apart"),
    [
        ("assert f(1)\nassert f(2)", False),
        ("assert f(1)\nassert not f(2)", True),
        ("assert f(1) == []", False),
        ("assert f(1) == 7", True),
        ("assert f(1) == 1\nassert f(2) == True", False),
        ('[{"stdin": "1", "stdout": "YES"}, {"stdin": "2", "stdout": "YES"}]', False),
        ('[{"stdin": "1", "stdout": "YES"}, {"stdin": "2", "stdout": "NO"}]', True),
    ],
)
def test_tests_that_one_constant_passes_are_found(tests: str, *, told_apart: bool) -> None:
    assert answers_to_guesses(read_tests(tests)) is not told_apart


def test_mutants_differ_from_the_reference_and_from_each_other_and_stay_the_same() -> None:
    reference = "def f(n):\n    if n > 2:\n        n = n * 3\n    print(n)\n    return n\n"
    found = mutants(reference)
    assert len(set(found)) == len(found) >= 5
    assert found == mutants(reference)
    assert any("n <= 2" in mutant for mutant in found)
    assert any("n + 3" in mutant for mutant in found)
    assert any("return None" in mutant for mutant in found)


def test_what_is_no_program_has_no_mutants() -> None:
    assert mutants("def f(") == mutants("") == ()
