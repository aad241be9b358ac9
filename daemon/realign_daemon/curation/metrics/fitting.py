"""Fitting: the scaling of confidences that answers whose truth is known call for. Runs in the worker child."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy is untyped.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import compress
from math import exp
from statistics import fmean
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit

from realign_daemon.curation.metrics.scaling import Method, Scaling, log_odds

# log T is sought between these: a hundredfold flatter or sharper is a constant or a step already.
LOG_TEMPERATURE_BOUNDS = (-4.6, 4.6)
SLOPE_BOUNDS = (0.0, 100.0)  # 0 is a constant; below it, order would be turned
FOLDS = 5
BRIER_PLACES = 4  # less than that is rounding, or chance: then the simpler method will do

Floats = NDArray[np.float64]


class _Answers(NamedTuple):
    confidences: Sequence[float]
    correct: Sequence[bool]


def fit(
    method: Method | Literal["best"], confidences: Sequence[float], correct: Sequence[bool], questions: Sequence[str]
) -> dict[str, Any]:
    """The fields of the Scaling that fits these answers; `questions` names for each answer what it belongs to.

    "temperature" divides the log-odds by the T of the highest likelihood (Guo et al., arXiv 1706.04599); "platt" is a
    line in them that never falls (Platt 1999); "isotonic" is the ascending step function of the least squared error
    (Zadrozny and Elkan 2002), its steps joined by lines. "best" is the one with the lowest Brier score on questions
    that it was not fitted on, the simplest of equals. None turns the order of two confidences, so that whatever it does
    to the calibration error, confidence tells no more than it did.

    Raises:
        ValueError: no answers, or the three differ in length.
    """
    if not len(confidences) == len(correct) == len(questions) > 0:
        lengths = f"{len(confidences)} confidences, {len(correct)} outcomes and {len(questions)} questions"
        raise ValueError(f"{lengths} cannot be fitted; give as many of each, and one at least")
    answers = _Answers(confidences, correct)
    return _fitted(_best(answers, questions) if method == "best" else method, answers)


def _best(answers: _Answers, questions: Sequence[str]) -> Method:
    """By cross-validation over whole questions, whose answers err together."""
    methods: tuple[Method, ...] = get_args(Method)
    folds = {name: place % FOLDS for place, name in enumerate(sorted({*questions}))}
    if len(folds) < FOLDS:
        return methods[0]
    errors: dict[Method, list[float]] = defaultdict(list)
    for fold in range(FOLDS):
        is_out = [folds[question] == fold for question in questions]
        learned = _chosen(answers, [not out for out in is_out])
        for method in methods:
            scaling = Scaling(**_fitted(method, learned))
            errors[method] += [
                (scaling(confidence) - hit) ** 2 for confidence, hit in zip(*_chosen(answers, is_out), strict=True)
            ]
    return min(methods, key=lambda method: round(fmean(errors[method]), BRIER_PLACES))


def _chosen(answers: _Answers, wanted: Sequence[bool]) -> _Answers:
    return _Answers(list(compress(answers.confidences, wanted)), list(compress(answers.correct, wanted)))


def _fitted(method: Method, answers: _Answers) -> dict[str, Any]:
    fits = {"temperature": _temperature, "platt": _platt, "isotonic": _isotonic}
    return {"method": method, **fits[method](answers)}


def _temperature(answers: _Answers) -> dict[str, Any]:
    odds, hits = _odds(answers), np.asarray(answers.correct, dtype=float)

    def loss(log_temperature: float) -> float:
        return _loss(odds / exp(log_temperature), hits)

    found: Any = minimize_scalar(loss, bounds=LOG_TEMPERATURE_BOUNDS, method="bounded", options={"xatol": 1e-9})
    return {"slope": exp(-float(found.x))}


def _platt(answers: _Answers) -> dict[str, Any]:
    """Towards one answer more of each kind, as Platt does: answers that are all right make no certainty."""
    odds, hits = _odds(answers), np.asarray(answers.correct, dtype=bool)
    right = int(hits.sum())
    targets = np.where(hits, (right + 1) / (right + 2), 1 / (len(hits) - right + 2))

    def loss_and_gradient(line: Floats) -> tuple[float, Floats]:
        scaled = line[0] * odds + line[1]
        excess = expit(scaled) - targets
        return _loss(scaled, targets), np.array([(excess * odds).mean(), excess.mean()])

    found: Any = minimize(
        loss_and_gradient,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[SLOPE_BOUNDS, (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1_000},
    )
    return {"slope": float(found.x[0]), "intercept": float(found.x[1])}


def _isotonic(answers: _Answers) -> dict[str, Any]:
    hits = defaultdict[float, list[bool]](list)
    for confidence, hit in zip(*answers, strict=True):
        hits[confidence].append(bool(hit))
    places = sorted(hits)
    found: Any = isotonic_regression([fmean(hits[one]) for one in places], weights=[len(hits[one]) for one in places])
    return {"confidences": places, "chances": [float(chance) for chance in found.x]}


def _odds(answers: _Answers) -> Floats:
    return np.array([log_odds(confidence) for confidence in answers.confidences])


def _loss(odds: Floats, targets: Floats) -> float:
    """The mean of -log of the chance given to what happened."""
    return float((np.logaddexp(0.0, odds) - targets * odds).mean())
