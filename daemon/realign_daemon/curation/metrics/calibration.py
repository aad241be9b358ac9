"""Calibration: whether a model's stated confidence is how often it is right. Confidences lie in 0..1."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from statistics import fmean

from realign_daemon.curation.metrics.preference import ranks

BINS = 15


def calibration_error(confidences: Sequence[float], correct: Sequence[bool], *, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal mass: the mean distance of a bin's confidence from its accuracy.

    Items are sorted by confidence and cut into `bins` runs whose sizes differ by one at most (fewer bins when there are
    fewer items), each weighted by its size (Naeini et al. 2015, with equal mass as in Nguyen and O'Connor 2015). Items
    of equal confidence count with their common accuracy, so their order cannot matter.

    Raises:
        ValueError: no items, or as many confidences as outcomes are not given.
    """
    n = len(confidences)
    if n == 0:
        raise ValueError("a calibration error needs one answer at least")
    outcomes = defaultdict[float, list[bool]](list)
    for confidence, outcome in zip(confidences, correct, strict=True):
        outcomes[confidence].append(outcome)
    accuracy = {confidence: fmean(hits) for confidence, hits in outcomes.items()}
    ordered = sorted(confidences)
    size, larger = divmod(n, min(bins, n))
    error, start = 0.0, 0
    for place in range(min(bins, n)):
        end = start + size + (place < larger)
        members = ordered[start:end]
        error += abs(sum(members) - sum(accuracy[confidence] for confidence in members)) / n
        start = end
    return error


def effective_size(subjects: Sequence[Hashable]) -> float:
    """How many independent answers so many are worth in a calibration error; `subjects` names what each one says.

    Answers that say the same to the same question share confidence and worth, so that a repeated one adds weight and no
    evidence: w answers of each subject count for (sum of w)^2 / (sum of w^2) (Kish, Survey Sampling, 1965). That lies
    between the number of questions and that of subjects where all questions have as many answers. It says how far off
    a perfectly calibrated model looks; the number of subjects would promise too much.
    """
    counts = Counter(subjects).values()
    return sum(counts) ** 2 / sum(count * count for count in counts) if counts else 0.0


def brier_score(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """The mean squared distance of confidence from outcome (Brier 1950): 0 is perfect, 0.25 is always saying one half.

    Raises:
        ValueError: as calibration_error.
    """
    if not confidences:
        raise ValueError("a Brier score needs one answer at least")
    return fmean((confidence - outcome) ** 2 for confidence, outcome in zip(confidences, correct, strict=True))


def auroc(confidences: Sequence[float], correct: Sequence[bool]) -> float | None:
    """The chance that a right answer has more confidence than a wrong one, ties half; None when one kind is missing."""
    right = [rank for rank, outcome in zip(ranks(confidences), correct, strict=True) if outcome]
    wrong_count = len(confidences) - len(right)
    if not right or not wrong_count:
        return None
    # Mann and Whitney's U over its largest value.
    return (sum(right) - len(right) * (len(right) + 1) / 2) / (len(right) * wrong_count)
