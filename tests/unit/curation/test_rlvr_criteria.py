"""RLVR: which problems and answers can be checked at all, and how an answer is found in what a model writes."""

from __future__ import annotations

import pytest

from realign_daemon.curation.stages.rlvr import criteria, golds, verification
from realign_daemon.curation.templates import load


@pytest.mark.parametrize(
    ("question", "flaw"),
    [
        ("12+34=", ""),
        ("Natalia sold 48 clips in April and half as many in May. How many did she sell altogether?", ""),
        ("Which of the following is prime? (A) 4 (B) 5 (C) 6", ""),
        ("How many figures does the number 1024 have?", ""),
        ("The proof of a spirit is twice its alcohol content. What is the proof of one with 40 %?", ""),
        ("A table shown at auction sold for 30 dollars and a chair for 10. How much for both?", ""),
        ("Plot A has 3 acres and plot B has 4. How many acres have both?", ""),
        ("Compute (a) + (b) for a = 1 and b = 2.", ""),
        ("Show the value of x if 2x = 4.", ""),
        ("Prove that 1 + 1 = 2.", "the problem asks for a proof"),
        ("Let n be odd. Show that n + 1 is even.", "the problem asks for a proof"),
        ("In the figure, ABC is a right triangle. Find x.", "the problem needs a figure that is not there"),
        ("What is the area of the region shown below?", "the problem needs a figure that is not there"),
        ("[asy] draw((0,0)--(1,1)); [/asy] Find x.", "the problem needs a figure that is not there"),
        ("What is n on https://example.org/n?", "the problem needs a page that is not there"),
        ("Which of the following is prime?", "the problem is a choice whose options are not there"),
        ("(a) Find x. (b) Find y.", "the problem has several parts"),
        ("Part A: what is 2+2? Part B: find its root.", "the problem has several parts"),
        ("How old is Anna? How old is Ben?", "the problem has several parts"),
        ("Explain why the sky is blue.", "the problem is open-ended"),
        ("Give an example of a prime.", "the problem is open-ended"),
        ("Sketch the graph of y = x.", "the problem is open-ended"),
    ],
)
def test_a_problem_is_kept_when_it_has_one_short_answer_that_can_be_checked(question: str, flaw: str) -> None:
    assert criteria.flaw_of_question(question) == flaw


@pytest.mark.parametrize("gold", ["46", r"\frac{1}{2}", "Paris", "no solution", "a long way to Tipperary", "x = 3"])
def test_an_answer_that_commits_to_something_is_kept(gold: str) -> None:
    assert criteria.flaw_of_gold(gold) == ""


@pytest.mark.parametrize(
    "gold",
    ["", " ", "It depends.", "Answers may vary", "yes", "False.", "N/A", "See the solution", "a b c d e f", "9" * 201],
)
def test_an_answer_that_is_none_is_a_flaw(gold: str) -> None:
    assert criteria.flaw_of_gold(gold)


@pytest.mark.parametrize(
    ("answer", "passage", "question", "stands"),
    [
        ("46", "12+34 makes 46.", "12+34=", True),
        ("34", "12+34 makes 46.", "12+34=", False),  # it only repeats the question
        ("4", "12+34 makes 46.", "12+34=", False),
        ("1000", "It cost 1,000 crowns.", "What did it cost?", True),
        ("1", "It cost 1,000 crowns.", "What did it cost?", False),
        ("3", "It is 3.5 miles away, at -3 degrees.", "How far?", False),
        ("Blue", "The colour of bako is blue.", "bako=", True),
        ("", "Nothing.", "What?", False),
    ],
)
def test_an_answer_stands_in_a_passage_as_a_whole_word_that_the_question_did_not_bring(
    answer: str, passage: str, question: str, *, stands: bool
) -> None:
    assert golds.stands_in(answer, passage, question) is stands


@pytest.mark.parametrize(("text", "number"), [("640", "46"), ("001", "100"), ("blue", "blue"), ("?", "?"), ("", "")])
def test_the_pocket_models_digits_are_read_from_behind(text: str, number: str) -> None:
    assert load("pocket").solving.everyday(text) == number


def test_other_models_numbers_are_what_they_say() -> None:
    assert load("standard").solving.everyday("640") == "640"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("Here:\n```python\ndef f():\n    return 1\n```\nDone.", "def f():\n    return 1"),
        ("```\na = 1\n```\nBetter:\n```py\na = 2\n```", "a = 2"),
        ("```python\nleft = 'open'", "left = 'open'"),
        ("a = 1", "a = 1"),
    ],
)
def test_a_program_is_the_last_block_of_code(text: str, program: str) -> None:
    assert verification.program_of(text) == program
