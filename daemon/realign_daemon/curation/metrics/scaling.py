"""Scaling: a confidence turned into the chance of being right. fitting.py learns one from answers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, log
from typing import Literal

# Beyond it a confidence is as good as certain; float32 probabilities tell no finer (2**-20).
EDGE = 1e-6


# The simplest first: each can do what the one before it can, and needs more answers to learn from.
Method = Literal["temperature", "platt", "isotonic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A line in log-odds; or straight lines between points of (confidence, chance), level beyond both ends."""

    method: Method
    slope: float = 1.0
    intercept: float = 0.0
    confidences: tuple[float, ...] = ()  # ascending
    chances: tuple[float, ...] = ()

    def __call__(self, confidence: float) -> float:
        """The chance of being right, 0..1, at a confidence of 0..1."""
        if not self.confidences:
            return _sigmoid(self.slope * log_odds(confidence) + self.intercept)
        place = bisect_right(self.confidences, confidence)
        if place == 0 or place == len(self.confidences):
            return self.chances[max(place - 1, 0)]
        (left, right), (low, high) = self.confidences[place - 1 : place + 1], self.chances[place - 1 : place + 1]
        return low + (high - low) * (confidence - left) / (right - left)


def log_odds(confidence: float) -> float:
    """The log-odds of a confidence, kept off the ends where they have none."""
    kept = min(max(confidence, EDGE), 1 - EDGE)
    return log(kept / (1 - kept))


def _sigmoid(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds >= 0 else exp(odds) / (1 + exp(odds))
