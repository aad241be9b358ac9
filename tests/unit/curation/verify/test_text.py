"""Words, letters of choices, and kinds of answers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from realign_daemon.curation.verify.text import AnswerType, answer_type, same_text


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("The Eiffel Tower.", "eiffel tower"),
        ("  PARIS ", "Paris"),
        ("\\boxed{\\text{Paris}}", "Paris"),
        ("\uff45\uff56\uff45\uff4e", "even"),
        ("So the answer is (B).", "B"),
        ("option c", "(C)"),
        ("d)", "D"),
    ],
)
def test_spelling_does_not_decide_between_the_same_words(answer: str, gold: str) -> None:
    assert same_text(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("Paris, France", "Paris"),
        ("not Paris", "Paris"),
        ("Paris or Rome", "Paris"),
        ("A or B", "A"),
        ("A, B", "A"),
        ("A because it is larger", "A"),
        ("C", "C++"),
        ("", "Paris"),
        ("", ""),
        ("the", "a"),
    ],
)
def test_nothing_is_guessed_between_different_words(answer: str, gold: str) -> None:
    assert not same_text(answer, gold)


@pytest.mark.parametrize(
    ("gold", "kind"),
    [
        ("42", "number"),
        ("#### 1,234", "number"),
        ("-\\frac{3}{4}", "number"),
        ("5 cm", "number"),
        ("50\\%", "number"),
        ("\\sqrt{2}", "expression"),
        ("(1, 2]", "expression"),
        ("x = 3", "expression"),
        ("x", "expression"),
        ("B", "choice"),
        ("(C)", "choice"),
        ("Paris", "text"),
        ("see the figure", "text"),
        ("\\text{Paris}", "text"),
        ("\\mathrm{H_2O}", "text"),
        ("3:45", "text"),
        ("", "unreadable"),
        ("?", "unreadable"),
        ("\\int", "unreadable"),
        ("$\\int_0^1", "unreadable"),
        ("\\sum_{i=1}", "unreadable"),
        ("\\begin{cases} 1 \\\\ 2", "unreadable"),
        ("2x=", "unreadable"),
        ("assert f(1) == 2", "code"),
        ("def check(candidate):\n    assert candidate(1) == 2\ncheck(f)", "code"),
        ('[{"stdin": "1", "stdout": "2"}]', "code"),
        ("[1, 2]", "expression"),
    ],
)
def test_the_kind_of_a_gold_says_how_it_is_checked(gold: str, kind: AnswerType) -> None:
    assert answer_type(gold) == kind


def test_what_the_daemon_imports_loads_no_mathematics() -> None:
    modules = "final, notation, perturb, quantity, result, shape, text"
    program = f"import sys\nfrom realign_daemon.curation.verify import {modules}\nprint('sympy' in sys.modules)"
    ran = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False"]
