"""Contamination: how much of an evaluation item is in a text, against brute force."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.hygiene.contamination import contained

ITEM = "Which of the three primary colours of paint makes green when it is mixed with yellow on a palette"


def brute_force(text: str, evaluation: list[str], n: int) -> float:
    there = text.split()
    shares = [0.0]
    for item in evaluation:
        its = item.split()
        length = min(n, len(its))
        runs = {tuple(its[at : at + length]) for at in range(len(its) - length + 1)}
        there_runs = {tuple(there[at : at + length]) for at in range(len(there) - length + 1)}
        shares.append(len(runs & there_runs) / len(runs))
    return max(shares)


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_that_of_looking_for_every_run(seed: int, n: int) -> None:
    rng = random.Random(seed)
    evaluation = [" ".join(rng.choices("abcdefgh", k=rng.randint(5, 20))) for _ in range(10)]
    texts = [" ".join(rng.choices("abcdefgh", k=rng.randint(1, 20))) for _ in range(20)]
    for text in evaluation:  # pieces of items, so that there is something to find
        words = text.split()
        texts.append(" ".join(["x", *words[: rng.randint(1, len(words))], "y"]))
    assert contained(texts, evaluation, n) == [brute_force(text, evaluation, n) for text in texts]


@settings(deadline=None)
@given(
    st.text("abc ", max_size=30),
    st.text("abc ", min_size=1, max_size=30).filter(str.strip),
    st.text("abc ", max_size=30),
)
def test_a_text_that_holds_a_whole_item_on_a_line_of_its_own_contains_all_of_it(
    before: str, item: str, after: str
) -> None:
    assert contained([f"{before}\n{item}\n{after}"], [item], 8) == [1.0]


def test_half_an_item_is_half_contained_whatever_its_case_and_marks() -> None:
    words = ITEM.split()
    half = f"He asked: “{' '.join(words[:13]).upper()}”?"
    assert contained([half, ITEM + "?"], [ITEM], 8) == [pytest.approx(6 / 12), 1.0]


def test_a_short_item_counts_within_a_line_from_five_words_on_and_else_as_a_whole_line() -> None:
    evaluation = ["Who wrote Pride and Prejudice?", "12+34="]
    texts = ["Tell me: who wrote Pride and Prejudice", "What is 12+34= ?", "12+34=", "q:\n12+34=\n46", "112+34=46"]
    assert contained(texts, evaluation, 8) == [1.0, 0.0, 1.0, 1.0, 0.0]


def test_nothing_is_contained_where_there_is_nothing_to_contain() -> None:
    assert contained(["a text"], [], 8) == [0.0]
    assert contained(["a text", ""], ["", " . "], 8) == [0.0, 0.0]
    assert contained([], ["an item"], 8) == []
