"""Metrics: what they promise at the edges, and over all inputs."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.metrics import (
    answering,
    calibration,
    clustered,
    fitting,
    learning,
    preference,
    quality,
    scaling,
)
from realign_daemon.curation.metrics.intervals import wilson
from realign_daemon.worker.registry import FUNCTIONS, resolve

fractions = st.floats(min_value=0, max_value=1)
verdicts = st.sampled_from(["A", "B", "T"])


def quality_of(aspects: list[list[float]]) -> float:
    return quality.quality_of([quality.expected_score(odds) for odds in aspects])


@pytest.mark.parametrize(("digit", "expected"), [(1, 1.0), (2, 3.25), (3, 5.5), (5, 10.0)])
def test_a_certain_digit_maps_linearly_to_one_to_ten(digit: int, expected: float) -> None:
    assert quality_of([[float(place == digit) for place in range(1, 6)]]) == expected


@given(st.lists(st.lists(fractions, min_size=5, max_size=5).filter(lambda odds: sum(odds) > 0), min_size=1, max_size=5))
def test_quality_is_between_one_and_ten(aspects: list[list[float]]) -> None:
    assert 1.0 <= round(quality_of(aspects), 9) <= 10.0


@pytest.mark.parametrize("aspects", [[], [[0.0] * 5], [[0.5, 0.5]]])
def test_odds_that_are_none_have_no_quality(aspects: list[list[float]]) -> None:
    with pytest.raises(ValueError):
        quality_of(aspects)


def test_a_gap_of_fifteen_hundredths_is_one_point_and_a_third_of_ten() -> None:
    assert preference.preference_gap(9.35, 8.0) == pytest.approx(0.15)
    assert (preference.preference_gap(10, 1), preference.preference_gap(1, 10)) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("forth", "back", "consistent", "score"),
    [
        ("A", "B", True, 1.0),
        ("B", "A", True, 0.0),
        ("A", "A", False, 0.5),
        ("B", "B", False, 0.5),
        ("T", "T", False, 0.5),
        ("A", "T", False, 0.75),
        ("T", "A", False, 0.25),
    ],
)
def test_two_orders_agree_only_on_one_winner_and_score_half_for_ties(
    forth: preference.Verdict, back: preference.Verdict, *, consistent: bool, score: float
) -> None:
    assert preference.is_consistent(forth, back) is consistent
    assert preference.win_score(forth, back) == score


@given(verdicts, verdicts)
def test_a_win_of_one_side_is_the_others_loss(forth: preference.Verdict, back: preference.Verdict) -> None:
    assert preference.win_score(forth, back) + preference.win_score(back, forth) == 1


def test_answers_of_equal_length_say_nothing_about_length_bias() -> None:
    assert preference.length_bias([(3, 3), (3, 3)]) is None
    assert preference.length_bias([(3, 3), (5, 3), (2, 3), (9, 3)]) == pytest.approx(2 / 3)


def test_yields_are_shares_and_nothing_when_there_is_nothing() -> None:
    assert (preference.pair_yield(8, 6), preference.pair_yield(0, 0)) == (0.75, None)
    assert preference.preference_yield([0.15, 0.1, 0.3, -0.2], 0.15) == 0.5
    assert preference.preference_yield([], 0.15) is None


def test_a_constant_has_no_rank_correlation() -> None:
    assert preference.spearman([1, 1, 1], [1, 2, 3]) is None
    assert preference.spearman([1], [1]) is None


def test_judges_who_always_say_the_same_thing_have_no_kappa() -> None:
    assert preference.cohens_kappa(["A", "A"], ["A", "A"]) is None
    assert preference.cohens_kappa([], []) is None


@given(st.integers(min_value=0, max_value=500), st.integers(min_value=0, max_value=500))
def test_a_wilson_interval_holds_the_rate_within_zero_to_one(hits: int, more: int) -> None:
    low, high = wilson(hits, hits + more)
    assert 0 <= low <= (hits / (hits + more) if hits + more else low) <= high <= 1


def test_more_hits_than_trials_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        wilson(3, 2)


def test_a_constant_confidence_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    correct = [True] * 80 + [False] * 20
    assert calibration.calibration_error([0.8] * 100, correct) == pytest.approx(0)
    assert calibration.calibration_error([0.3] * 100, correct) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_the_order_of_answers_does_not_change_a_calibration_error(
    items: list[tuple[float, bool]], rng: random.Random
) -> None:
    shuffled = sorted(items, key=lambda _: rng.random())
    errors = {
        round(calibration.calibration_error([c for c, _ in order], [hit for _, hit in order]), 9)
        for order in (items, shuffled)
    }
    assert len(errors) == 1


def test_confidence_tells_nothing_about_answers_that_are_all_right() -> None:
    assert calibration.auroc([0.1, 0.9], [True, True]) is None


def test_a_margin_of_nothing_is_not_a_right_reward() -> None:
    assert learning.reward_accuracy([0.0, 0.2, -0.1, 0.1]) == 0.5
    assert learning.reward_accuracy([]) is None


def test_an_answer_that_is_certain_by_itself_has_no_difficulty() -> None:
    with pytest.raises(ValueError, match="undefined"):
        learning.instruction_following_difficulty(
            conditional_logprob=-1, conditional_tokens=1, alone_logprob=0.0, alone_tokens=1
        )


def test_changes_are_paired_by_item() -> None:
    assert learning.paired_changes([1.0, 0.0, 1.0], [0.0, 1.0, 1.0]) == [-1.0, 1.0, 0.0]
    assert learning.paired_changes([1.0, None, 1.0], [0.0, 1.0, None]) == [-1.0]
    with pytest.raises(ValueError):
        learning.paired_changes([1.0], [])


def test_only_problems_of_middling_pass_rate_carry_a_gradient() -> None:
    assert [answering.carries_gradient(samples) for samples in ([True] * 4, [False] * 4, [True, False])] == [
        False,
        False,
        True,
    ]
    assert answering.pass_rate([True, False, False, False]) == 0.25


@settings(deadline=None)  # the first call imports scipy
@given(
    st.lists(fractions, min_size=2, max_size=30),
    st.randoms(),
    st.sampled_from(["best", "temperature", "platt", "isotonic"]),
)
def test_a_scaling_gives_chances_and_never_turns_the_order_of_two_confidences(
    confidences: list[float], rng: random.Random, method: Literal["best", "temperature", "platt", "isotonic"]
) -> None:
    correct, questions = [rng.random() < 0.5 for _ in confidences], [str(place) for place, _ in enumerate(confidences)]
    fitted = scaling.Scaling(**fitting.fit(method, confidences, correct, questions))
    chances = [fitted(confidence) for confidence in [0.0, *sorted(confidences), 1.0]]
    assert all(0 <= chance <= 1 for chance in chances)
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(chances))


def test_a_scale_needs_answers_to_be_fitted_on() -> None:
    with pytest.raises(ValueError, match="0 confidences"):
        fitting.fit("temperature", [], [], [])


def test_the_best_scaling_is_the_simplest_that_does_as_well_on_other_questions() -> None:
    rng = random.Random(4)
    confidences = [rng.random() for _ in range(2_000)]
    questions = [str(place // 2) for place in range(2_000)]
    shapes: dict[str, Callable[[float], float]] = {
        "temperature": lambda confidence: confidence,
        "platt": lambda confidence: confidence / (confidence + 6 * (1 - confidence)),
        "isotonic": lambda confidence: 0.1 if confidence < 0.3 else 0.5 if confidence < 0.8 else 0.9,
    }
    for method, chance in shapes.items():
        correct = [rng.random() < chance(confidence) for confidence in confidences]
        assert fitting.fit("best", confidences, correct, questions)["method"] == method


def test_of_too_few_questions_nothing_but_a_temperature_is_learned() -> None:
    confidences, correct = [0.1, 0.9] * 40, [True, False, False, True] * 20
    assert fitting.fit("best", confidences, correct, [str(place % 4) for place in range(80)])["method"] == "temperature"


def test_answers_that_are_all_right_have_no_interval_of_an_auroc() -> None:
    with pytest.raises(ValueError, match="no figure"):
        clustered.bootstrap_auroc([0.1, 0.9], [True, True], ["a", "b"], 0)


def test_a_target_of_certainty_is_no_target() -> None:
    with pytest.raises(ValueError, match="target"):
        answering.abstention_score(["wrong"], target=1.0)


def test_figures_about_nothing_are_nothing() -> None:
    assert answering.pass_rate([]) is None
    assert answering.abstention_score([], target=0.5) is None
    assert answering.refusal_precision([False], [True]) is None
    assert answering.refusal_recall([True], [True]) is None


@pytest.mark.parametrize("target", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_every_function_of_the_worker_exists(target: str) -> None:
    assert callable(resolve(target))


def test_what_the_daemon_imports_of_curation_loads_no_parser_and_no_numbers_library() -> None:
    modules = (
        "documents.reading, documents.chunks, templates, metrics.answering, metrics.calibration, metrics.intervals, "
        "metrics.learning, metrics.preference, metrics.quality, metrics.scaling, pairs, export, summary, card"
    )
    imports = ", ".join(f"realign_daemon.curation.{module}" for module in modules.split(", "))
    heavy = "{'numpy', 'scipy', 'pypdfium2', 'pypdf', 'py3langid', 'mlx'}"
    code = f"import sys, {imports}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
