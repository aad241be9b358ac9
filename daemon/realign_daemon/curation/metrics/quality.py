"""Quality: a judge's probabilities over score digits as one figure on 1..10."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

LOWEST_DIGIT, HIGHEST_DIGIT = 1, 5  # one token each, unlike "10"
LOWEST_QUALITY, HIGHEST_QUALITY = 1.0, 10.0


def expected_score(probabilities: Sequence[float]) -> float:
    """The expected digit, 1..5, for the probabilities of the digits 1 to 5 in order (G-Eval, arXiv 2303.16634).

    They are taken in their ratio to each other, so they need not sum to one.

    Raises:
        ValueError: not five probabilities, or all of them zero.
    """
    if len(probabilities) != HIGHEST_DIGIT or not sum(probabilities) > 0:
        raise ValueError(f"an aspect has five probabilities that are not all zero, not {list(probabilities)}")
    weighted = sum(digit * probability for digit, probability in enumerate(probabilities, start=LOWEST_DIGIT))
    return weighted / sum(probabilities)


def quality_of(scores: Sequence[float]) -> float:
    """Quality on 1..10: the mean of the aspects' expected digits, 1..5 mapped linearly to 1..10.

    Raises:
        ValueError: there are none.
    """
    if not scores:
        raise ValueError("a quality needs one aspect at least")
    steps = (fmean(scores) - LOWEST_DIGIT) / (HIGHEST_DIGIT - LOWEST_DIGIT)
    return LOWEST_QUALITY + steps * (HIGHEST_QUALITY - LOWEST_QUALITY)
