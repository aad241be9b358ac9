"""Fitting: the scaling of confidences that answers whose truth is known call for. Runs in the worker child."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy is untyped.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import exp, log1p
from statistics import fmean
from typing import Any, Literal

from scipy.optimize import isotonic_regression, minimize_scalar

from realign_daemon.curation.metrics.scaling import log_odds

Method = Literal["temperature", "isotonic"]

# log T is sought between these: a hundredfold flatter or sharper is a constant or a step already.
LOG_TEMPERATURE_BOUNDS = (-4.6, 4.6)


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
    # -log of the chance given to what happened is log(1 + exp(-m)), m being the log-odds in favour of it.
    margins = [log_odds(confidence) * (1 if hit else -1) for confidence, hit in zip(confidences, correct, strict=True)]

    def loss(log_temperature: float) -> float:
        scaled = (margin / exp(log_temperature) for margin in margins)
        return fmean(log1p(exp(-abs(margin))) + max(-margin, 0.0) for margin in scaled)

    found: Any = minimize_scalar(loss, bounds=LOG_TEMPERATURE_BOUNDS, method="bounded", options={"xatol": 1e-9})
    return {"temperature": exp(float(found.x))}


def _isotonic(confidences: Sequence[float], correct: Sequence[bool]) -> dict[str, Any]:
    hits = defaultdict[float, list[bool]](list)
    for confidence, hit in zip(confidences, correct, strict=True):
        hits[confidence].append(hit)
    places = sorted(hits)
    found: Any = isotonic_regression([fmean(hits[one]) for one in places], weights=[len(hits[one]) for one in places])
    return {"confidences": places, "chances": [float(chance) for chance in found.x]}
