"""Gates: tiers at the exact boundaries, doubt, small samples, and settings."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_planner.data_types import DATA_TYPES, DataType
from realign_planner.errors import SettingError
from realign_planner.gates import Measure, Verdict, blocks, blocks_surely, judge, worst
from realign_planner.thresholds import THRESHOLDS, Baseline, Tiered, check_settings, is_threshold_key, threshold
from realign_planner.workflow import for_type

ENOUGH = 10_000


def verdict(
    metric: str,
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    n: int = ENOUGH,
    overrides: Mapping[str, str] | None = None,
) -> Verdict:
    return judge("stage", Measure(metric=metric, value=value, low=low, high=high, n=n), overrides=overrides)


@pytest.mark.parametrize(
    ("metric", "value", "tier"),
    [
        ("preference_gap", 0.15, "HIGH"),
        ("preference_gap", 0.1499, "MEDIUM"),
        ("preference_gap", 0.10, "MEDIUM"),
        ("preference_gap", 0.0999, "REJECT"),
        ("agreement_rate", 0.90, "HIGH"),
        ("agreement_rate", 0.80, "MEDIUM"),
        ("agreement_rate", 0.7999, "REJECT"),
        ("verifiability", 0.80, "HIGH"),
        ("verifiability", 0.70, "MEDIUM"),
        ("verifiability", 0.6999, "REJECT"),
        ("quality_score", 8.0, "HIGH"),
        ("quality_score", 6.0, "MEDIUM"),
        ("quality_score", 5.99, "REJECT"),
        ("calibration_error", 0.10, "HIGH"),
        ("calibration_error", 0.1001, "MEDIUM"),
        ("calibration_error", 0.15, "MEDIUM"),
        ("calibration_error", 0.1501, "REJECT"),
        ("auroc_after", 0.70, "HIGH"),
        ("auroc_after", 0.60, "MEDIUM"),
        ("auroc_after", 0.50, "REJECT"),
    ],
)
def test_a_value_on_a_boundary_has_the_better_tier(metric: str, value: float, tier: str) -> None:
    found = verdict(metric, value, value, value)
    assert (found.tier, found.undecided) == (tier, False)


def test_an_interval_over_a_boundary_leaves_the_tier_and_makes_it_undecided() -> None:
    found = verdict("preference_gap", 0.16, 0.14, 0.18)
    assert (found.tier, found.undecided) == ("HIGH", True)


def test_a_verdict_carries_what_it_was_judged_by() -> None:
    assert verdict("win_rate", 0.7, 0.6, 0.8, n=200) == Verdict(
        stage="stage", metric="win_rate", tier="HIGH", value=0.7, low=0.6, high=0.8, n=200, undecided=False, remedy=""
    )


@pytest.mark.parametrize(
    ("metric", "minimum"),
    [("preference_gap", 100), ("agreement_rate", 100), ("verifiability", 50), ("calibration_error", 500)],
)
def test_a_small_sample_is_never_high(metric: str, minimum: int) -> None:
    good = 0.0 if metric == "calibration_error" else 1.0
    assert verdict(metric, good, good, good, n=minimum).tier == "HIGH"
    few = verdict(metric, good, good, good, n=minimum - 1)
    assert (few.tier, few.undecided, blocks(few)) == ("INSUFFICIENT", True, False)
    assert f"min_n.{metric}={minimum - 1}" in few.remedy


def test_a_small_sample_rejects_only_when_its_whole_interval_does() -> None:
    assert verdict("preference_gap", 0.02, 0.0, 0.04, n=20).tier == "REJECT"
    assert verdict("preference_gap", 0.08, 0.02, 0.14, n=20).tier == "INSUFFICIENT"
    assert verdict("preference_gap", 0.02, n=20).tier == "INSUFFICIENT"


def test_few_answers_never_reject_a_calibration_since_they_make_it_look_worse() -> None:
    assert verdict("calibration_error", 0.4, 0.35, 0.45, n=50).tier == "INSUFFICIENT"


def test_a_rejection_is_sure_only_when_no_further_sample_could_turn_it() -> None:
    assert blocks_surely(verdict("agreement_rate", 0.5, 0.4, 0.6))
    doubtful = verdict("agreement_rate", 0.79, 0.7, 0.85)
    assert (blocks(doubtful), blocks_surely(doubtful)) == (True, False)


@pytest.mark.parametrize(
    ("low", "high", "tier"),
    [(0.51, 0.6, "HIGH"), (0.50, 0.6, "MEDIUM"), (0.4, 0.6, "MEDIUM"), (0.4, 0.5, "MEDIUM"), (0.3, 0.49, "REJECT")],
)
def test_a_baseline_gate_is_high_only_above_and_rejects_only_below(low: float, high: float, tier: str) -> None:
    assert verdict("win_rate", (low + high) / 2, low, high).tier == tier


@pytest.mark.parametrize(
    ("low", "high", "tier"),
    [(-0.2, -0.051, "REJECT"), (-0.2, -0.05, "MEDIUM"), (-0.05, 0.0, "MEDIUM"), (-0.04, 0.1, "HIGH")],
)
def test_regression_blocks_when_all_of_the_interval_is_below_the_tolerance(low: float, high: float, tier: str) -> None:
    assert verdict("regression", (low + high) / 2, low, high).tier == tier


def test_a_lower_is_better_baseline_is_turned_round() -> None:
    assert verdict("truncated_fraction", 0.01, 0.0, 0.03).tier == "HIGH"
    assert verdict("truncated_fraction", 0.2, 0.1, 0.3).tier == "REJECT"


@pytest.mark.parametrize(
    ("value", "tier"), [(-0.5, "HIGH"), (0.0, "MEDIUM"), (0.2, "REJECT"), (math.nan, "REJECT"), (math.inf, "REJECT")]
)
def test_a_loss_must_fall_and_be_finite(value: float, tier: str) -> None:
    assert verdict("training_loss", value, n=1).tier == tier


@pytest.mark.parametrize(("metric", "n"), [("task_metric", 0), ("training_loss", 2)])
def test_what_could_not_be_measured_is_insufficient_and_its_remedy_says_that_and_not_that_samples_are_few(
    metric: str, n: int
) -> None:
    found = verdict(metric, None, n=n)
    assert found.tier == "INSUFFICIENT"
    assert f"no value could be computed from {n} samples" in found.remedy
    assert "min_n" not in found.remedy


def test_the_worst_gate_is_the_jobs_tier_and_too_few_samples_count_as_medium() -> None:
    high, medium = verdict("agreement_rate", 1.0, 1.0, 1.0), verdict("agreement_rate", 0.85, 0.85, 0.85)
    few, bad = verdict("agreement_rate", 1.0, n=1), verdict("agreement_rate", 0.1, 0.1, 0.1)
    assert [worst([]), worst([high]), worst([high, few]), worst([high, medium]), worst([few, bad])] == [
        "HIGH",
        "HIGH",
        "MEDIUM",
        "MEDIUM",
        "REJECT",
    ]


def test_settings_move_boundaries_and_minima() -> None:
    assert verdict("preference_gap", 0.16, 0.16, 0.16, overrides={"preference_gap.high": "0.2"}).tier == "MEDIUM"
    for key in ("min_n.preference_gap", "preference_gap.min_n"):
        assert verdict("preference_gap", 0.5, 0.5, 0.5, n=20, overrides={key: "20"}).tier == "HIGH"
    assert verdict("win_rate", 0.55, 0.52, 0.58, overrides={"win_rate.baseline": "0.6"}).tier == "REJECT"


def test_settings_of_other_metrics_and_of_other_things_change_nothing() -> None:
    settings = {"agreement_rate.high": "0.99", "learning_rate": "1e-4"}
    assert verdict("preference_gap", 0.16, 0.16, 0.16, overrides=settings).tier == "HIGH"
    assert not is_threshold_key("learning_rate")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("preference_gap.high", "much"),
        ("preference_gap.high", "nan"),
        ("preference_gap.high", "0.05"),
        ("preference_gap.baseline", "0.1"),
        ("preference_gap.colour", "0.1"),
        ("win_rate.high", "0.6"),
        ("min_n.preference_gap", "0"),
        ("min_n.preference_gap", "1.5"),
        ("min_n.charm", "5"),
        ("charm.high", "5"),
    ],
)
def test_a_wrong_setting_is_refused(key: str, text: str) -> None:
    with pytest.raises(SettingError):
        check_settings({key: text})


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_every_gate_and_only_gates_and_their_metrics_have_a_threshold(data_type: DataType) -> None:
    for stage in for_type(data_type).stages:
        assert stage.gates, f"{stage.name} has no gate"
        for metric in stage.gates:
            threshold(metric)


def test_no_threshold_is_without_a_gate_a_source_and_a_remedy() -> None:
    gates = {metric for data_type in DATA_TYPES for stage in for_type(data_type).stages for metric in stage.gates}
    assert {entry.metric for entry in THRESHOLDS} == gates
    assert all(entry.source and entry.remedy for entry in THRESHOLDS)


@given(st.sampled_from(THRESHOLDS), st.floats(-2, 12), st.floats(0, 3), st.floats(0, 3), st.integers(0, 2000))
def test_any_measure_gets_a_verdict_whose_remedy_is_empty_only_when_high(
    limits: Tiered | Baseline, value: float, below: float, above: float, n: int
) -> None:
    found = verdict(limits.metric, value, value - below, value + above, n=n)
    assert (found.tier == "HIGH") == (found.remedy == "")
    assert n >= limits.min_n or found.tier in {"INSUFFICIENT", "REJECT"}


@given(
    st.sampled_from([entry for entry in THRESHOLDS if isinstance(entry, Tiered)]), st.floats(-2, 12), st.floats(-2, 12)
)
def test_a_better_value_never_has_a_worse_tier(limits: Tiered, one: float, other: float) -> None:
    worse, better = sorted((one, other), reverse=limits.better == "lower")
    order = ["REJECT", "MEDIUM", "HIGH"]
    assert order.index(verdict(limits.metric, worse).tier) <= order.index(verdict(limits.metric, better).tier)
