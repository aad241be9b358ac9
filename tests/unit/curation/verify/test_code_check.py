"""Programs against tests: only the expected values pass, whatever else a program does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from realign_daemon.curation.verify.code_check import CodeItem, code_checkable, verify_code
from realign_daemon.worker.supervisor import Worker

pytestmark = pytest.mark.usefixtures("confinement")

RIGHT = "def f(n):\n    return n * 2\n"
TESTS = "assert f(2) == 4\nassert f(5) == 10\n"
SCRIPT_TESTS = '[{"stdin": "2\\n", "stdout": "4\\n"}, {"stdin": "5", "stdout": "10"}]'


def results(programs: Sequence[str], tests: str = TESTS, *, timeout_s: float = 5.0) -> list[str]:
    items: list[CodeItem] = [{"program": program, "tests": tests} for program in programs]
    return [*verify_code(items, timeout_s)]


ANY = "class Any{base}:\n    def __eq__(self, other): return True\n"
FORGERIES = {
    "nothing": "",
    "a claim": "print('all tests passed')",
    "leaving well": "raise SystemExit(0)",
    "leaving at once": "import os\nos._exit(0)",
    "leaving when asked": "import os\ndef f(n): os._exit(0)",
    "equal to everything": ANY.format(base="") + "def f(n): return Any()",
    "a number equal to everything": ANY.format(base="(int)") + "def f(n): return Any(7)",
    "no assertions": "import builtins\nbuiltins.AssertionError = SystemExit\ndef f(n): return 0",
    "another eval": "import builtins\nbuiltins.eval = lambda *given: 4\ndef f(n): return None",
    "another encoder": "import json\njson.dumps = lambda value: '[\"=\", true]'\ndef f(n): return None",
    "its own results": """
import os, sys
for line in ('true', '["=", true]', 'ready', 'correct'):
    os.write(int(sys.argv[2]), line.encode() + b'\\n')
os._exit(0)
""",
    "looking for the answers": """
import sys
frame, seen = sys._getframe(), []
while frame:
    seen += [repr(frame.f_locals), repr(frame.f_globals)]
    frame = frame.f_back
def f(n): return n * 2 if '== ' + str(5 * 2) in ''.join(seen) + repr(sys.argv) else 0
""",
    "the wrong type": "def f(n): return str(n * 2)",
    "one right answer": "def f(n): return 4",
    "broken": "def f(n",
    "failing": "def f(n): raise ValueError",
    "no value": "def f(n): print(n * 2)",
    "a false name": "f = type('f', (), {'__call__': lambda self, n: self, '__repr__': lambda self: '4'})()",
    "without end": "def f(n):\n    made = []\n    made.append(made)\n    return made",
    "far too long": "def f(n): return 'x' * 10**8",
}


def test_no_forgery_is_accepted() -> None:
    assert dict(zip(FORGERIES, results(list(FORGERIES.values())), strict=True)) == dict.fromkeys(FORGERIES, "wrong")


def test_what_is_right_is_accepted_however_it_is_written() -> None:
    others = [
        RIGHT,
        "f = lambda n: n + n",
        "print('thinking')\nimport math\ndef f(n): return 2.0 * n",
        "class Two(int): pass\ndef f(n): return Two(n * 2)",
    ]
    assert results(others) == ["correct"] * 4


def test_scripts_are_judged_by_what_they_print() -> None:
    programs = [
        "print(int(input()) * 2)",
        "import sys\nprint(2 * int(sys.stdin.read()), end='')",
        "print(4)",
        "print(int(input()) * 2)\nraise ValueError",
    ]
    assert results(programs, SCRIPT_TESTS) == ["correct", "correct", "wrong", "wrong"]


def test_a_program_without_end_is_a_timeout_and_unreadable_tests_are_the_golds_fault() -> None:
    assert results(["while True: pass"], timeout_s=1.0) == ["timeout"]
    assert results([RIGHT], "assert f(1) == f(1)") == ["gold_unparseable"]


def test_values_of_every_plain_type_come_back_as_they_are() -> None:
    value = f"[None, True, -{10**30}, 0.1, 1j, 'é\\ud800', b'x', (1,), {{2}}, frozenset({{3}}), {{'a': {{1: [2]}}}}]"
    assert results([f"def f(n): return {value}"], f"assert f(1) == {value.replace('frozenset({3})', '{3}')}") == [
        "correct"
    ]
    assert results(["def f(n): return float('nan')"], "assert f(1) == 0.0") == ["wrong"]


def test_tests_that_tell_nothing_are_named_with_the_reason() -> None:
    items = [
        (RIGHT, TESTS),
        ("print(int(input()) * 2)", SCRIPT_TESTS),
        ("def f(a): a.sort()", "a = [3, 1]\nf(a)\nassert a == [1, 3]\n"),
        (RIGHT, "assert f(2) == 5"),
        (RIGHT, "assert f(0) == 0"),
        (RIGHT, "assert f(2) == f(2)"),
        (RIGHT, "def f(n): return 4\nassert f(2) == 4"),
        ("x = 1", "assert 'abc'.upper() == 'ABC'"),
    ]
    verdicts = code_checkable([{"reference": reference, "tests": tests} for reference, tests in items], 5.0)
    assert [verdict["checkable"] for verdict in verdicts] == [True, True, True, False, False, False, False, False]
    reasons = [verdict["reason"] for verdict in verdicts]
    assert reasons[:3] == ["", "", ""]
    assert "do not pass on the reference: wrong" in reasons[3]
    assert "same simple answer" in reasons[4]
    assert "no question and its answer" in reasons[5]
    assert "empty program" in reasons[6]
    assert "empty program" in reasons[7]


async def test_the_worker_child_runs_programs_by_name() -> None:
    worker = Worker()
    try:
        items = [{"program": RIGHT, "tests": TESTS}, {"program": "", "tests": TESTS}]
        assert await worker.call("verify.code", {"items": items, "timeout_s": 5.0}, timeout_s=60.0) == [
            "correct",
            "wrong",
        ]
        report = await worker.call("verify.sandbox", {}, timeout_s=60.0)
        assert isinstance(report, dict)
        assert report["available"] is True
    finally:
        await worker.close()
