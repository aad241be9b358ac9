"""Scaling: a confidence turned into the chance of being right, learned from answers whose truth is known.

Applying a scaling is arithmetic and runs anywhere; `fit` needs scipy and runs in the worker child, with plain data.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy is untyped.

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p
from statistics import fmean
from typing import Any, Literal

Method = Literal["temperature", "isotonic"]

# Beyond it a confidence is as good as certain; float32 probabilities tell no finer (2**-20).
EDGE = 1e-6
# log T is sought between these: a hundredfold flatter or sharper is a constant or a step already.
LOG_TEMPERATURE_BOUNDS = (-4.6, 4.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Straight lines between points of (confidence, chance), level beyond both ends; or a temperature."""

    temperature: float | None = None
    confidences: tuple[float, ...] = ()  # ascending
    chances: tuple[float, ...] = ()

    def __call__(self, confidence: float) -> float:
        """The chance of being right, 0..1, at a confidence of 0..1."""
        if self.temperature is not None:
            return _sigmoid(_logit(confidence) / self.temperature)
        place = bisect_right(self.confidences, confidence)
        if place == 0 or place == len(self.confidences):
            return self.chances[max(place - 1, 0)]
        (left, right), (low, high) = self.confidences[place - 1 : place + 1], self.chances[place - 1 : place + 1]
        return low + (high - low) * (confidence - left) / (right - left)


def fit(method: Method, confidences: Sequence[float], correct: Sequence[bool]) -> dict[str, Any]:
    """The fields of the Scaling that fits these answers.

    "temperature" divides the log-odds by the T of the highest likelihood (Guo et al., arXiv 1706.04599); "isotonic" is
    the ascending step function of the least squared error (Zadrozny and Elkan 2002), its steps joined by lines. Steps
    make sense of any confidence, of one that says nothing by making it a constant; a temperature only of one that is
    in order already, so that what it cannot repair still shows.

    Raises:
        ValueError: no answers, or not as many confidences as outcomes.
    """
    if not confidences or len(confidences) != len(correct):
        raise ValueError(f"{len(confidences)} confidences and {len(correct)} outcomes cannot be fitted")
    return _temperature(confidences, correct) if method == "temperature" else _isotonic(confidences, correct)


def _temperature(confidences: Sequence[float], correct: Sequence[bool]) -> dict[str, Any]:
    from scipy.optimize import minimize_scalar

    # -log of the chance given to what happened is log(1 + exp(-m)), m being the log-odds in favour of it.
    margins = [_logit(confidence) * (1 if hit else -1) for confidence, hit in zip(confidences, correct, strict=True)]

    def loss(log_temperature: float) -> float:
        scaled = (margin / exp(log_temperature) for margin in margins)
        return fmean(log1p(exp(-abs(margin))) + max(-margin, 0.0) for margin in scaled)

    found: Any = minimize_scalar(loss, bounds=LOG_TEMPERATURE_BOUNDS, method="bounded", options={"xatol": 1e-9})
    return {"temperature": exp(float(found.x))}


def _isotonic(confidences: Sequence[float], correct: Sequence[bool]) -> dict[str, Any]:
    from scipy.optimize import isotonic_regression

    hits = defaultdict[float, list[bool]](list)
    for confidence, hit in zip(confidences, correct, strict=True):
        hits[confidence].append(hit)
    places = sorted(hits)
    found: Any = isotonic_regression([fmean(hits[one]) for one in places], weights=[len(hits[one]) for one in places])
    return {"confidences": places, "chances": [float(chance) for chance in found.x]}


def _logit(confidence: float) -> float:
    kept = min(max(confidence, EDGE), 1 - EDGE)
    return log(kept / (1 - kept))


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds)) if log_odds >= 0 else exp(log_odds) / (1 + exp(log_odds))
