"""Duplicates: what repeats what, against brute force and datasketch."""

# pyright: reportUnknownMemberType=false
# datasketch is untyped.

from __future__ import annotations

import random

import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.hygiene.duplicates import duplicates
from realign_daemon.curation.hygiene.words import runs, words

VOCABULARY = [a + b for a in "bcdfgklmnprst" for b in ("a", "e", "i", "o", "ul", "en")]


def family(seed: int, size: int) -> list[str]:
    """Texts of which many are others with some words changed, from hardly any to most."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(size):
        text = rng.choice(texts).split() if texts and rng.random() < 0.7 else rng.choices(VOCABULARY, k=40)
        for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
            text[rng.randrange(len(text))] = rng.choice(VOCABULARY)
        texts.append(" ".join(text))
    return texts


def similarity(first: str, second: str) -> float:
    one, other = runs(words(first), 3), runs(words(second), 3)
    return len(one & other) / len(one | other)


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.8, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_near_duplicates_are_those_of_comparing_all_with_all(seed: int, threshold: float) -> None:
    texts = family(seed, 80)
    found = duplicates(texts, threshold)
    for index, earlier in enumerate(found):
        new = [other for other in range(index) if found[other] < 0]
        near = [other for other in new if similarity(texts[index], texts[other]) >= threshold]
        # A pair within a tenth of the threshold may be missed by chance; none is found that is not there.
        sure = [other for other in near if similarity(texts[index], texts[other]) >= threshold + 0.1]
        assert earlier in near if earlier >= 0 else not sure


@pytest.mark.parametrize("seed", range(3))
def test_near_duplicates_are_those_of_datasketch_once_its_candidates_are_confirmed(seed: int) -> None:
    texts = family(seed, 80)
    index = MinHashLSH(threshold=0.8, params=(32, 4), num_perm=128)
    expected: list[int] = []
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=128, seed=seed)
        for run in runs(words(text), 3):
            sketch.update(run.encode())
        near = sorted(key for key in map(int, map(str, index.query(sketch))) if similarity(text, texts[key]) >= 0.8)
        expected.append(near[0] if near else -1)
        if not near:
            index.insert(str(number), sketch)
    assert duplicates(texts, 0.8) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What  is\tFire?", "what is fire?"),
        ("\ufb01ne \uff11\uff12", "fine 12"),
        ("Why does the sky look blue at noon?", "Why does the sky look blue at noon"),
    ],
)
def test_case_white_space_compatible_characters_and_sentence_marks_make_no_difference(first: str, second: str) -> None:
    assert duplicates([first, second], 0.8) == [-1, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("12+34=", "12+35="),
        ("Name the capital of France", "Name the capital of Spain"),
        ("What is 5! in words?", "What is 5 in words?"),
        (
            " ".join(["The train leaves at 9 and takes 3 hours to", *VOCABULARY[:40]]),
            " ".join(["The train leaves at 9 and takes 4 hours to", *VOCABULARY[:40]]),
        ),
    ],
)
def test_questions_that_differ_in_a_number_or_in_one_of_few_words_are_no_duplicates(first: str, second: str) -> None:
    assert duplicates([first, second], 0.5) == [-1, -1]


def test_texts_of_different_groups_never_repeat_each_other() -> None:
    text = " ".join(VOCABULARY[:20])
    assert duplicates([text, text, text, f"{text} more"], 0.8, [0, 1, 0, 1]) == [-1, -1, 0, 1]


@settings(deadline=None)
@given(st.lists(st.sampled_from([*family(1, 12), "", "a", "12+34="]), max_size=20))
def test_what_is_repeated_came_earlier_and_repeats_nothing_itself(texts: list[str]) -> None:
    found = duplicates(texts, 0.7)
    assert all(earlier < index and (earlier < 0 or found[earlier] < 0) for index, earlier in enumerate(found))
    kept = [text for text, earlier in zip(texts, found, strict=True) if earlier < 0]
    assert duplicates(kept, 0.7) == [-1] * len(kept)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1])
def test_a_threshold_that_is_no_similarity_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="similarity above 0"):
        duplicates(["a"], threshold)
