"""Metrics against numpy, scipy and scikit-learn: the same figures to 1e-6."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false
# scipy and scikit-learn are untyped.

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics as sklearn_metrics
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from realign_daemon.curation.metrics import answering, calibration, clustered, learning, preference, quality
from realign_daemon.curation.metrics.bootstrap import bootstrap_mean
from realign_daemon.curation.metrics.fitting import fit
from realign_daemon.curation.metrics.intervals import wilson
from realign_daemon.curation.metrics.scaling import Scaling

SEEDS = range(5)


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-6, rel=1e-6)


def answers(seed: int, n: int = 400, *, grid: int = 0) -> tuple[list[float], list[bool]]:
    """Confidences (on a coarse grid on request, so that many are equal) and outcomes that follow them roughly."""
    rng = random.Random(seed)
    confidences = [rng.randrange(grid + 1) / grid if grid else rng.random() for _ in range(n)]
    return confidences, [rng.random() < 0.7 * confidence + 0.1 for confidence in confidences]


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7), (92, 100), (4_321, 10_000)])
def test_wilson_interval_is_that_of_scipy(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson(hits, n) == (near(expected.low), near(expected.high))


@pytest.mark.parametrize("seed", SEEDS)
def test_expected_quality_is_the_dot_product_mapped_to_ten(seed: int) -> None:
    odds = np.random.default_rng(seed).dirichlet(np.ones(5), size=4)
    expected = np.interp((odds @ np.arange(1, 6)).mean(), [1, 5], [1, 10])
    assert quality.quality_of([quality.expected_score(one) for one in odds.tolist()]) == near(float(expected))


@pytest.mark.parametrize("seed", SEEDS)
def test_spearman_and_ranks_are_those_of_scipy_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 12, 80).astype(float), rng.integers(0, 12, 80).astype(float)
    assert preference.ranks(first.tolist()) == stats.rankdata(first).tolist()
    assert preference.spearman(first.tolist(), second.tolist()) == near(stats.spearmanr(first, second).statistic)


@pytest.mark.parametrize("seed", SEEDS)
def test_length_correlation_is_spearman_of_gap_and_difference_in_length(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gaps, lengths = rng.normal(size=60), rng.integers(1, 30, (60, 2))
    expected = stats.spearmanr(gaps, lengths[:, 0] - lengths[:, 1]).statistic
    found = preference.length_correlation(gaps.tolist(), [(int(a), int(b)) for a, b in lengths])
    assert found == near(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_cohens_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    first = rng.choices("ABT", (5, 4, 1), k=120)
    second = [one if rng.random() < 0.6 else rng.choice("ABT") for one in first]
    assert preference.cohens_kappa(first, second) == near(sklearn_metrics.cohen_kappa_score(first, second))


@pytest.mark.parametrize("grid", [0, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_auroc_and_brier_are_those_of_scikit_learn(seed: int, grid: int) -> None:
    confidences, correct = answers(seed, grid=grid)
    assert calibration.auroc(confidences, correct) == near(sklearn_metrics.roc_auc_score(correct, confidences))
    assert calibration.brier_score(confidences, correct) == near(sklearn_metrics.brier_score_loss(correct, confidences))


def numpy_calibration_error(confidences: Sequence[float], correct: Sequence[bool], bins: int) -> float:
    order = np.argsort(confidences)
    parts = zip(
        np.array_split(np.asarray(confidences)[order], bins),
        np.array_split(np.asarray(correct)[order], bins),
        strict=True,
    )
    return sum(len(c) * abs(c.mean() - hit.mean()) for c, hit in parts if len(c)) / len(order)


@pytest.mark.parametrize("n", [3, 15, 100, 500, 517])
@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_error_is_that_of_equal_mass_bins_in_numpy(seed: int, n: int) -> None:
    confidences, correct = answers(seed, n)
    assert calibration.calibration_error(confidences, correct) == near(
        numpy_calibration_error(confidences, correct, 15)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_dpo_loss_margin_accuracy_and_displacement_are_those_of_numpy(seed: int) -> None:
    logprobs = -np.random.default_rng(seed).exponential(30, size=(50, 4))
    lengths = np.random.default_rng(seed).integers(1, 40, 50)
    pairs = [
        learning.PairLogprobs(
            policy_chosen=row[0],
            policy_rejected=row[1],
            reference_chosen=row[2],
            reference_rejected=row[3],
            chosen_tokens=int(length),
        )
        for row, length in zip(logprobs.tolist(), lengths, strict=True)
    ]
    margins = 0.2 * ((logprobs[:, 0] - logprobs[:, 2]) - (logprobs[:, 1] - logprobs[:, 3]))
    losses = -np.log(special.expit(margins)) - 0.5 * logprobs[:, 0] / lengths
    assert [learning.reward_margin(pair, beta=0.2) for pair in pairs] == [near(margin) for margin in margins]
    assert [learning.dpo_loss(pair, beta=0.2, nll_weight=0.5) for pair in pairs] == [near(loss) for loss in losses]
    assert learning.reward_accuracy(margins.tolist()) == near((margins > 0).mean())
    assert learning.displacement(pairs) == near((logprobs[:, 0] - logprobs[:, 2]).mean())


def test_dpo_loss_is_finite_for_margins_far_from_zero() -> None:
    pair = learning.PairLogprobs(
        policy_chosen=-1e6, policy_rejected=-1, reference_chosen=-1, reference_rejected=-1e6, chosen_tokens=10
    )
    assert learning.dpo_loss(pair, nll_weight=0) == pytest.approx(0.1 * (2e6 - 2))


def test_instruction_following_difficulty_is_a_ratio_of_mean_losses() -> None:
    found = learning.instruction_following_difficulty(
        conditional_logprob=-6.0, conditional_tokens=4, alone_logprob=-20.0, alone_tokens=5
    )
    assert found == near((6 / 4) / (20 / 5))


@pytest.mark.parametrize(("k", "right", "n"), [(1, 3, 8), (4, 3, 8), (8, 1, 8), (5, 0, 9), (6, 5, 9)])
def test_pass_at_k_is_one_minus_the_hypergeometric_chance_of_none(k: int, right: int, n: int) -> None:
    verified = [place < right for place in range(n)]
    assert answering.pass_at(k, verified) == near(1 - stats.hypergeom(n, right, k).pmf(0))


@pytest.mark.parametrize("target", [0.0, 0.5, 0.75, 0.9])
def test_abstention_score_is_the_mean_of_its_points(target: float) -> None:
    outcomes: list[answering.Outcome] = ["right", "right", "right", "abstained", "abstained", "wrong"]
    expected = np.mean([1.0] * 3 + [0.0] * 2 + [-target / (1 - target)])
    assert answering.abstention_score(outcomes, target=target) == near(float(expected))


@pytest.mark.parametrize("seed", SEEDS)
def test_refusal_figures_are_those_of_scikit_learn(seed: int) -> None:
    rng = random.Random(seed)
    known = [rng.random() < 0.6 for _ in range(90)]
    refused = [rng.random() < (0.1 if is_known else 0.8) for is_known in known]
    unknown = [not is_known for is_known in known]
    assert answering.refusal_precision(refused, known) == near(sklearn_metrics.precision_score(unknown, refused))
    assert answering.refusal_recall(refused, known) == near(sklearn_metrics.recall_score(unknown, refused))


@pytest.mark.parametrize("seed", SEEDS)
def test_bootstrap_interval_of_a_mean_is_near_the_normal_one_for_many_values(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.2, 0.15, 600)
    found = bootstrap_mean(values.tolist(), seed)
    reach = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert found["low"] == pytest.approx(values.mean() - reach, abs=0.1 * reach)
    assert found["high"] == pytest.approx(values.mean() + reach, abs=0.1 * reach)


def test_bootstrap_interval_of_a_mean_is_the_percentile_one_of_scipy() -> None:
    values = np.random.default_rng(3).exponential(size=80)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4_000, batch=100, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    assert bootstrap_mean(values.tolist(), 7) == {"low": near(expected.low), "high": near(expected.high)}


def test_bootstrap_of_a_calibration_error_covers_it_when_there_are_many_answers() -> None:
    confidences, correct = answers(1, 2_000)
    found = clustered.bootstrap_calibration(confidences, correct, [str(place) for place in range(2_000)], 0)
    assert found["low"] < calibration.calibration_error(confidences, correct) < found["high"]


@pytest.mark.parametrize("grid", [0, 20])
def test_each_figure_of_the_clustered_bootstrap_is_that_of_the_plain_metric(grid: int) -> None:
    confidences, correct = answers(2, 90, grid=grid)
    questions = [str(place % 30) for place in range(90)]
    drawn = np.random.default_rng(5).integers(30, size=30)
    names = sorted({*questions})
    resampled = [place for index in drawn for place in range(90) if questions[place] == names[index]]
    again = [confidences[place] for place in resampled], [correct[place] for place in resampled]
    for bootstrap, metric in (
        (clustered.bootstrap_auroc, calibration.auroc),
        (clustered.bootstrap_calibration, calibration.calibration_error),
    ):
        figure = metric(*again)
        assert figure is not None
        assert bootstrap(confidences, correct, questions, 5, resamples=1) == {"low": near(figure), "high": near(figure)}


def test_the_clustered_bootstrap_of_a_mean_resamples_questions_with_all_their_values() -> None:
    values = np.random.default_rng(1).normal(size=90)
    questions = [str(place % 30) if place < 60 else str(place) for place in range(90)]  # thirty of two, thirty of one
    names = sorted({*questions})
    drawn = np.random.default_rng(5).integers(len(names), size=len(names))
    resampled = [values[place] for index in drawn for place in range(90) if questions[place] == names[index]]
    found = clustered.bootstrap_clustered_mean(values.tolist(), questions, 5, resamples=1)
    assert found == {"low": near(float(np.mean(resampled))), "high": near(float(np.mean(resampled)))}


def test_a_mean_of_one_value_a_question_has_the_interval_of_a_plain_mean() -> None:
    values = np.random.default_rng(3).normal(size=400).tolist()
    found = clustered.bootstrap_clustered_mean(values, [str(place) for place in range(400)], 0)
    plain = bootstrap_mean(values, 0)
    assert found["high"] - found["low"] == pytest.approx(plain["high"] - plain["low"], rel=0.1)


def test_answers_to_the_same_questions_say_less_than_as_many_answers_to_different_ones() -> None:
    confidences, correct = answers(3, 100)
    repeated = confidences * 8, correct * 8
    apart = clustered.bootstrap_auroc(*repeated, [str(place) for place in range(800)], 0)
    together = clustered.bootstrap_auroc(*repeated, [str(place % 100) for place in range(800)], 0)
    alone = clustered.bootstrap_auroc(confidences, correct, [str(place) for place in range(100)], 0)
    assert together["high"] - together["low"] > 2 * (apart["high"] - apart["low"])
    assert together == {"low": near(alone["low"]), "high": near(alone["high"])}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_a_line_in_log_odds_is_the_logistic_regression_of_scikit_learn(
    seed: int, method: Literal["temperature", "platt"]
) -> None:
    """Platt's has a weighted answer of each kind for every answer: his targets."""
    confidences, correct = answers(seed)
    log_odds = special.logit(np.clip(confidences, 1e-6, 1 - 1e-6))
    hits = np.asarray(correct)
    right, wrong = int(hits.sum()), int((~hits).sum())
    target = np.where(hits, (right + 1) / (right + 2), 1 / (wrong + 2)) if method == "platt" else hits.astype(float)
    found = LogisticRegression(C=np.inf, fit_intercept=method == "platt", tol=1e-12, max_iter=1_000).fit(
        np.tile(log_odds, 2).reshape(-1, 1),
        np.repeat([True, False], len(hits)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    scaling = Scaling(**fit(method, confidences, correct, [str(place) for place in range(len(correct))]))
    assert (scaling.slope, scaling.intercept) == (
        pytest.approx(found.coef_[0, 0], rel=1e-5),
        pytest.approx(found.intercept_ if method == "temperature" else found.intercept_[0], abs=1e-5),
    )
    expected = special.expit(scaling.slope * log_odds + scaling.intercept)
    assert [scaling(one) for one in confidences] == [near(one) for one in expected]


@pytest.mark.parametrize("grid", [0, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_isotonic_scaling_is_that_of_scikit_learn(seed: int, grid: int) -> None:
    confidences, correct = answers(seed, grid=grid)
    scaling = Scaling(**fit("isotonic", confidences, correct, [str(place) for place in range(len(correct))]))
    asked = [-1.0, *np.linspace(0, 1, 57).tolist(), 2.0]
    expected = IsotonicRegression(out_of_bounds="clip").fit(confidences, correct).predict(asked)
    assert [scaling(one) for one in asked] == [near(one) for one in expected]


def test_a_single_value_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="two are needed"):
        bootstrap_mean([0.5], 0)
