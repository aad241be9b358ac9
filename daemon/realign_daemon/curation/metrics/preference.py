"""Preference: figures about pairs of a chosen and a rejected answer, and about the judges who compare them.

Verdicts are "A" (the answer shown first), "B" (the one shown second) or "T" (a tie).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import StatisticsError, correlation, fmean
from typing import Literal

Verdict = Literal["A", "B", "T"]
_TURNED: dict[Verdict, Verdict] = {"A": "B", "B": "A", "T": "T"}
_POINTS: dict[Verdict, float] = {"A": 1.0, "T": 0.5, "B": 0.0}
UNBIASED_LENGTHS = (0.35, 0.65)  # own choice: shares of longer answers chosen that pass without a warning


def preference_gap(chosen_quality: float, rejected_quality: float) -> float:
    """(q(y+) - q(y-)) / 9 in [-1, 1], for qualities on 1..10: 0.15 is 1.35 points of ten."""
    return (chosen_quality - rejected_quality) / 9


def is_consistent(forth: Verdict, back: Verdict) -> bool:
    """Whether a judge names the same winner when the two answers change places; a tie names none (arXiv 2406.07791)."""
    return forth != "T" and forth == _TURNED[back]


def pair_yield(prompts: int, pairs: int) -> float | None:
    """The share of prompts that gave a pair (two different answers at least); None without prompts."""
    return pairs / prompts if prompts else None


def preference_yield(gaps: Sequence[float], least_gap: float) -> float | None:
    """The share of pairs with at least this gap; None without pairs."""
    return fmean(gap >= least_gap for gap in gaps) if gaps else None


def length_bias(lengths: Sequence[tuple[int, int]]) -> float | None:
    """The share of pairs whose chosen answer is the longer one, of those that differ in length; None when none does.

    Takes (chosen length, rejected length). One half is no bias; see UNBIASED_LENGTHS.
    """
    differing = [chosen > rejected for chosen, rejected in lengths if chosen != rejected]
    return fmean(differing) if differing else None


def length_correlation(gaps: Sequence[float], lengths: Sequence[tuple[int, int]]) -> float | None:
    """Spearman's rank correlation of the gap with the difference in length; None when either never varies."""
    return spearman(gaps, [float(chosen - rejected) for chosen, rejected in lengths])


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation, equal values sharing their mean rank; None below two points or without variance.

    Raises:
        ValueError: the two differ in length.
    """
    if len(first) != len(second):
        raise ValueError(f"a correlation needs as many first values ({len(first)}) as second ones ({len(second)})")
    try:
        return correlation(ranks(first), ranks(second))
    except StatisticsError:
        return None


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            found[place] = (start + 1 + end) / 2
        start = end
    return found


def win_score(forth: Verdict, back: Verdict) -> float:
    """The share of the two comparisons that the first-named answer won, ties half: 0, 0.25, 0.5, 0.75 or 1.

    `forth` shows it first, `back` second.
    """
    return (_POINTS[forth] + _POINTS[_TURNED[back]]) / 2


def share_equal(first: Sequence[str], second: Sequence[str]) -> float | None:
    """The share of items with the same label: agreement of two judges, or of one judge with itself; None for none."""
    return fmean(one == other for one, other in zip(first, second, strict=True)) if first else None


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement of two judges beyond chance (Cohen 1960); None without items, or when both always say one thing."""
    observed = share_equal(first, second)
    if observed is None:
        return None
    left, right = Counter(first), Counter(second)
    chance = sum(left[label] * right[label] for label in left) / len(first) ** 2
    return None if chance == 1 else (observed - chance) / (1 - chance)
