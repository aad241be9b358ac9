"""Answering: figures about questions with known answers: how often right, and how wisely not at all."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from statistics import fmean
from typing import Literal

Outcome = Literal["right", "abstained", "wrong"]


def pass_rate(verified: Sequence[bool]) -> float | None:
    """The share of one problem's samples that verify; None without samples."""
    return fmean(verified) if verified else None


def carries_gradient(verified: Sequence[bool]) -> bool:
    """Whether a problem is neither always nor never solved: the others teach nothing (DAPO, arXiv 2503.14476)."""
    return any(verified) and not all(verified)


def pass_at(k: int, verified: Sequence[bool]) -> float:
    """The chance that one of k samples of a problem verifies, without bias (Chen et al., arXiv 2107.03374).

    Raises:
        ValueError: fewer than k samples.
    """
    n, wrong = len(verified), len(verified) - sum(verified)
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs {k} samples and there are {n}")
    return 1 - comb(wrong, k) / comb(n, k)


def abstention_points(outcome: Outcome, *, target: float) -> float:
    """Points at a confidence target t: right 1, abstained 0, wrong -t/(1-t) (arXiv 2509.04664).

    Answering pays exactly when one is right with a chance above t.

    Raises:
        ValueError: a target outside 0..1, or 1 itself.
    """
    if not 0 <= target < 1:
        raise ValueError(f"a confidence target of {target} is outside 0 (inclusive) to 1 (exclusive)")
    return {"right": 1.0, "abstained": 0.0, "wrong": -target / (1 - target)}[outcome]


def abstention_score(outcomes: Sequence[Outcome], *, target: float) -> float | None:
    """Mean points at a confidence target; None for none.

    Raises:
        ValueError: as abstention_points.
    """
    points = [abstention_points(outcome, target=target) for outcome in outcomes]
    return fmean(points) if points else None


def refusal_precision(refused: Sequence[bool], known: Sequence[bool]) -> float | None:
    """Of the questions refused, the share that the model did not know; None when none was refused."""
    among = [not is_known for was_refused, is_known in zip(refused, known, strict=True) if was_refused]
    return fmean(among) if among else None


def refusal_recall(refused: Sequence[bool], known: Sequence[bool]) -> float | None:
    """Of the questions that the model did not know, the share refused; None when it knew all."""
    among = [was_refused for was_refused, is_known in zip(refused, known, strict=True) if not is_known]
    return fmean(among) if among else None
