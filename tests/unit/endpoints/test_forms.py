"""Choices read from answers that a model wrote freely."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.endpoints.forms import Token, counted, read_off
from realign_daemon.engine.api import Filled, Slot

BARE = (Slot(before="", choices=("A", "B", "T")),)
BETTER = (Slot(before='{"better":"', choices=("A", "B", "T")),)
GRADES = (
    Slot(before='{"truth":', choices=("1", "2", "3", "4", "5")),
    Slot(before=',"clarity":', choices=("1", "2", "3", "4", "5")),
)


def sure(*texts: str) -> list[Token]:
    return [Token(text=text, alternatives=((text, 0.0),)) for text in texts]


def torn(**odds: float) -> Token:
    alternatives = tuple((text, log(odd)) for text, odd in odds.items())
    return Token(text=max(odds, key=odds.__getitem__), alternatives=alternatives)


def test_a_bare_form_is_the_first_token_with_its_alternatives() -> None:
    filled = read_off(BARE, [torn(A=0.6, B=0.2, x=0.2)], prompt_tokens=7)
    assert filled is not None
    assert filled.probabilities[0] == pytest.approx((0.75, 0.25, 0.0))
    assert filled.mass == pytest.approx((0.8,))
    assert (filled.prompt_tokens, filled.samples) == (7, 0)


def test_a_bare_form_counts_the_choices_though_something_else_is_likelier() -> None:
    filled = read_off(BARE, [torn(x=0.9, B=0.1)], prompt_tokens=1)
    assert filled is not None
    assert filled.probabilities == ((0.0, 1.0, 0.0),)
    assert filled.mass == pytest.approx((0.1,))


@pytest.mark.parametrize(
    "before",
    [
        ('{"', "better", '":"'),
        ("```json\n", "{ ", '"better"', ": ", '"'),
        ('{"better', '": "'),
        ("Here it is:", ' {"better":"'),
    ],
)
def test_blanks_fences_and_the_cut_of_tokens_do_not_matter(before: tuple[str, ...]) -> None:
    filled = read_off(BETTER, [*sure(*before), torn(A=0.25, B=0.75), *sure('"}')], prompt_tokens=1)
    assert filled is not None
    assert filled.probabilities[0] == pytest.approx((0.25, 0.75, 0.0))


def test_a_choice_may_share_its_token_with_what_stands_around_it() -> None:
    tokens = [*sure('{"better'), Token(text='":"B"}', alternatives=(('":"B"}', log(0.8)), ('":"T"}', log(0.1))))]
    filled = read_off(BETTER, tokens, prompt_tokens=1)
    assert filled is not None
    assert filled.probabilities[0] == pytest.approx((0.0, 8 / 9, 1 / 9))


def test_every_slot_is_found_in_its_order() -> None:
    tokens = [
        *sure('{"truth":'),
        torn(**{"4": 0.5, "5": 0.5}),
        *sure(", ", '"clarity"', ": "),
        torn(**{"2": 1.0}),
        *sure("}"),
    ]
    filled = read_off(GRADES, tokens, prompt_tokens=1)
    assert filled is not None
    assert filled.probabilities[0] == pytest.approx((0, 0, 0, 0.5, 0.5))
    assert filled.probabilities[1] == pytest.approx((0, 1, 0, 0, 0))


@pytest.mark.parametrize("text", ["", "I would say A.", '{"truth": 4}', '{"truth": 9, "clarity": 1}'])
def test_an_answer_without_all_choices_fills_no_form(text: str) -> None:
    assert read_off(GRADES, sure(*text), prompt_tokens=1) is None


def test_sampled_answers_are_counted_and_say_that_they_were() -> None:
    texts = ['{"better":"A"}', '```\n{"better": "A"}\n```', '{"better":"B"}', "no idea"]
    filled = counted(BETTER, texts, prompt_tokens=40)
    assert filled == Filled(probabilities=((2 / 3, 1 / 3, 0.0),), mass=(0.75,), prompt_tokens=40, samples=3)
    assert counted(BETTER, ["no idea"], prompt_tokens=10) is None


@given(st.lists(st.sampled_from(["A", "B", "T", "x", '{"better":"', '"}', " ", "\n"]), max_size=12))
def test_whatever_is_read_off_is_a_distribution(texts: list[str]) -> None:
    filled = read_off(BETTER, sure(*texts), prompt_tokens=0)
    if filled is not None:
        assert sum(filled.probabilities[0]) == pytest.approx(1.0)
        assert 0.0 <= filled.mass[0] <= 1.0
