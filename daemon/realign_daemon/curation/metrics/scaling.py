"""Scaling: a confidence turned into the chance of being right, learned from answers whose truth is known.

Applying a scaling is arithmetic and runs anywhere; `fit` needs scipy and runs in the worker child, with plain data.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy is untyped.

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, log1p
from statistics import fmean
from typing import Any, Literal, get_args

Method = Literal["temperature", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
FOLDS = 5

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


def fit(
    method: Method | Literal["best"], confidences: Sequence[float], correct: Sequence[bool], questions: Sequence[str]
) -> dict[str, Any]:
    """The fields of the Scaling that fits these answers; `questions` names for each the question that it belongs to.

    "temperature" divides the log-odds by the T of the highest likelihood (Guo et al., arXiv 1706.04599); "isotonic" is
    the ascending step function of the least squared error (Zadrozny and Elkan 2002), its steps joined by lines; "best"
    is whichever of the two has the lower Brier score on questions that it was not fitted on, by cross-validation.

    Raises:
        ValueError: no answers, or the three differ in length.
    """
    if not len(confidences) == len(correct) == len(questions) > 0:
        lengths = f"{len(confidences)} confidences, {len(correct)} outcomes and {len(questions)} questions"
        raise ValueError(f"{lengths} cannot be fitted; give as many of each, and one at least")
    if method == "best":
        answers = list(zip(confidences, correct, questions, strict=True))
        method = min(METHODS, key=lambda one: _error_elsewhere(one, answers))
    return _FITS[method](confidences, correct)


def _error_elsewhere(method: Method, answers: Sequence[tuple[float, bool, str]]) -> float:
    """The mean squared error on questions left out of the fit, each in turn with every FOLDS-th other one."""
    names = {name: place for place, name in enumerate(sorted({name for _, _, name in answers}))}
    errors: list[float] = []
    for fold in range(min(FOLDS, len(names)) if len(names) > 1 else 0):
        kept = [(confidence, hit) for confidence, hit, name in answers if names[name] % FOLDS != fold]
        scaling = Scaling(**_FITS[method]([confidence for confidence, _ in kept], [hit for _, hit in kept]))
        errors += [(scaling(confidence) - hit) ** 2 for confidence, hit, name in answers if names[name] % FOLDS == fold]
    return fmean(errors) if errors else 0.0


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


_FITS: Mapping[Method, Callable[[Sequence[float], Sequence[bool]], dict[str, Any]]] = {
    "temperature": _temperature,
    "isotonic": _isotonic,
}


def _logit(confidence: float) -> float:
    kept = min(max(confidence, EDGE), 1 - EDGE)
    return log(kept / (1 - kept))


def _sigmoid(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds)) if log_odds >= 0 else exp(log_odds) / (1 + exp(log_odds))
