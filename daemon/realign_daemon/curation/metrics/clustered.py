"""Clustered: 95 % intervals of figures about answers several of which belong to one question.

Answers to one question err together, so questions are resampled, each with all its answers; resampling single answers
would promise too narrow an interval. Runs in the worker child; takes and gives plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from realign_daemon.curation.metrics.bootstrap import CONFIDENCE
from realign_daemon.curation.metrics.calibration import BINS

RESAMPLES = 1_000  # the ends then move by about 4 % of the interval's width from seed to seed

Floats = NDArray[np.float64]
# Of the distinct confidences in ascending order, and how often each was right and wrong; NaN where there is no figure.
Statistic = Callable[[Floats, Floats, Floats], float]


def bootstrap_auroc(
    confidences: Sequence[float],
    correct: Sequence[bool],
    questions: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, float]:
    """`low` and `high` of the AUROC. `questions` names for each answer the question that it belongs to.

    Raises:
        ValueError: no resample has both right and wrong answers, or the three differ in length.
    """
    return _interval(_auroc, _Answers.of(confidences, correct, questions), seed, resamples)


def bootstrap_calibration(
    confidences: Sequence[float],
    correct: Sequence[bool],
    questions: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, float]:
    """`low` and `high` of the calibration error (see calibration.py).

    Resampling makes a calibration error look larger than it is, the more so the fewer answers there are; below some
    500 the interval may lie above the figure itself.

    Raises:
        ValueError: no answers, or the three differ in length.
    """
    return _interval(_calibration_error, _Answers.of(confidences, correct, questions), seed, resamples)


def bootstrap_clustered_mean(
    values: Sequence[float], questions: Sequence[str], seed: int, resamples: int = RESAMPLES
) -> dict[str, float]:
    """`low` and `high` of the mean of `values`, of which `questions` names for each what it belongs to.

    Raises:
        ValueError: no values, or not as many questions.
    """
    if not len(values) == len(questions) > 0:
        raise ValueError(
            f"{len(values)} values of {len(questions)} questions cannot be resampled; give as many of each"
        )
    _, asked = np.unique(np.asarray(questions), return_inverse=True)
    sizes = np.bincount(asked)
    sums = np.bincount(asked, weights=np.asarray(values, dtype=float))
    chance = np.random.default_rng(seed)
    draws = (chance.integers(len(sizes), size=len(sizes)) for _ in range(resamples))
    return _percentiles(np.array([sums[drawn].sum() / sizes[drawn].sum() for drawn in draws]))


class _Answers(NamedTuple):
    """Distinct confidences in ascending order; of each answer the place of its confidence, its worth, its question."""

    values: Floats
    places: NDArray[np.intp]
    hits: NDArray[np.bool_]
    asked: NDArray[np.intp]

    @classmethod
    def of(cls, confidences: Sequence[float], correct: Sequence[bool], questions: Sequence[str]) -> _Answers:
        if not len(confidences) == len(correct) == len(questions) > 0:
            lengths = f"{len(confidences)} confidences, {len(correct)} outcomes and {len(questions)} questions"
            raise ValueError(f"{lengths} cannot be resampled; give as many of each, and one at least")
        values, places = np.unique(np.asarray(confidences, dtype=float), return_inverse=True)
        _, asked = np.unique(np.asarray(questions), return_inverse=True)
        return cls(values, places, np.asarray(correct, dtype=bool), asked)


def _interval(statistic: Statistic, answers: _Answers, seed: int, resamples: int) -> dict[str, float]:
    """Percentiles over resamples of questions; a resample for which there is no figure is left out."""
    values, places, hits, asked = answers
    count = int(asked.max()) + 1
    chance = np.random.default_rng(seed)
    figures: list[float] = []
    for _ in range(resamples):
        drawn = np.bincount(chance.integers(count, size=count), minlength=count)[asked]
        right = np.bincount(places, weights=drawn * hits, minlength=len(values))
        wrong = np.bincount(places, weights=drawn * ~hits, minlength=len(values))
        figures.append(statistic(values, right.astype(float), wrong.astype(float)))
    found = np.asarray(figures)
    found = found[~np.isnan(found)]
    if not len(found):
        raise ValueError(f"{len(hits)} answer(s) to {count} question(s) have no figure to resample")
    return _percentiles(found)


def _percentiles(figures: Floats) -> dict[str, float]:
    low, high = np.quantile(figures, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"low": float(low), "high": float(high)}


def _auroc(values: Floats, right: Floats, wrong: Floats) -> float:  # noqa: ARG001 - only the order counts
    """As calibration.auroc, of counts."""
    pairs = right.sum() * wrong.sum()
    below = np.cumsum(wrong) - wrong
    return float((right * (below + wrong / 2)).sum() / pairs) if pairs else float("nan")


def _calibration_error(values: Floats, right: Floats, wrong: Floats) -> float:
    """As calibration.calibration_error, of counts."""
    seen = right + wrong > 0
    counts = (right + wrong)[seen]
    excess = np.repeat(values[seen] - right[seen] / counts, counts.astype(int))
    parts = np.array_split(excess, min(BINS, len(excess)))
    return float(sum(abs(part.sum()) for part in parts) / len(excess))
