"""How many answers a calibration error needs: simulated models that are right exactly as often as they say."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.metrics.calibration import calibration_error, effective_size
from realign_planner.thresholds import Tiered, threshold

RUNS = 100
LIMITS = cast("Tiered", threshold("calibration_error"))


@dataclass(frozen=True, kw_only=True)
class Population:
    """Questions, how often each is asked, and Dirichlet's parameters of the chances of its answers."""

    questions: int
    samples: int
    answers: tuple[float, ...]

    def runs(self) -> list[tuple[float, float]]:
        """Calibration error and effective size of each run; an answer's confidence is its chance of being the truth."""
        rng = np.random.default_rng(20261123)
        return [self._run(rng) for _ in range(RUNS)]

    def _run(self, rng: np.random.Generator) -> tuple[float, float]:
        chances = rng.dirichlet(self.answers, size=self.questions)
        steps = chances.cumsum(axis=1)[:, None, :-1]
        said = (rng.random((self.questions, self.samples, 1)) > steps).sum(axis=-1)
        truth = (rng.random((self.questions, 1, 1)) > steps).sum(axis=-1)
        confidences = np.take_along_axis(chances, said, axis=1)
        asked = np.repeat(np.arange(self.questions), self.samples)
        error = calibration_error(confidences.ravel().tolist(), (said == truth).ravel().tolist())
        return error, effective_size(list(zip(asked.tolist(), said.ravel().tolist(), strict=True)))


NEAR_HALF = (50.0, 50.0)  # two answers, each right half of the time: no other model's luck varies as much
SPREAD = (0.7, 0.7, 0.7)  # some questions known, some not


@pytest.mark.parametrize(
    "population",
    [
        Population(questions=500, samples=1, answers=NEAR_HALF),
        Population(questions=283, samples=8, answers=NEAR_HALF),
        Population(questions=500, samples=1, answers=SPREAD),
        Population(questions=303, samples=8, answers=SPREAD),
    ],
)
def test_a_perfectly_calibrated_model_is_rarely_above_the_best_tier_at_the_least_n(population: Population) -> None:
    """In 0 to 2 of 100 runs, whether each question is asked once or eight times."""
    runs = population.runs()
    assert fmean(n for _, n in runs) == pytest.approx(LIMITS.min_n, rel=0.03)
    assert sum(error > LIMITS.high for error, _ in runs) <= 2
    assert not any(error > LIMITS.medium for error, _ in runs)


def test_as_many_answers_to_an_eighth_of_the_questions_would_condemn_the_same_model() -> None:
    runs = Population(questions=63, samples=8, answers=SPREAD).runs()
    assert sum(error > LIMITS.high for error, _ in runs) > RUNS / 2
    assert fmean(n for _, n in runs) < LIMITS.min_n / 4


@pytest.mark.parametrize(("answers", "questions"), [(NEAR_HALF, 283), (SPREAD, 303)])
def test_answers_are_worth_as_many_as_the_error_of_a_perfect_model_says(
    answers: tuple[float, ...], questions: int
) -> None:
    """Counted as samples they would be worth four times as many, as different answers up to a third more."""
    once, often = (Population(questions=n, samples=k, answers=answers) for n, k in ((500, 1), (questions, 8)))
    assert fmean(error for error, _ in often.runs()) == pytest.approx(fmean(error for error, _ in once.runs()), rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), max_size=60))
def test_answers_are_worth_no_more_than_there_are_different_ones(answers: list[tuple[int, str]]) -> None:
    found = effective_size(answers)
    assert bool(answers) <= round(found, 9) <= len({*answers})
    assert effective_size(answers * 3) == pytest.approx(found)
    assert effective_size(list(range(len(answers)))) == pytest.approx(len(answers))
