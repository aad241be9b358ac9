"""The gates: a measure of a stage turned into a verdict.

The tier follows the point estimate; the 95 % interval says whether more samples could change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, assert_never

from realign_planner.thresholds import Baseline, Threshold, Tiered, threshold

Tier = Literal["HIGH", "MEDIUM", "REJECT", "INSUFFICIENT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric of a stage. value is None when nothing could be measured; without an interval the value is exact."""

    metric: str
    value: float | None
    low: float | None = None  # 95 % interval
    high: float | None = None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says. The remedy is empty when the tier is HIGH."""

    stage: str
    metric: str
    tier: Tier
    value: float | None
    low: float | None
    high: float | None
    n: int
    undecided: bool  # the interval crosses a boundary, or the sample is too small: more samples may change the tier
    remedy: str


def judge(stage: str, measure: Measure, *, overrides: Mapping[str, str] | None = None) -> Verdict:
    """The verdict on one measure, with the thresholds of `--set` in `overrides` applied.

    Below the minimum n the tier is INSUFFICIENT, except that a measure whose whole interval lies in REJECT is
    rejected: more samples would hardly save it, and a doomed job must not burn days. Metrics that a small sample makes
    look worse than they are (calibration error) never reject below it. A value that is not finite is REJECT.

    Raises:
        SettingError: the metric has no threshold, or an override is wrong.

    """
    limits = threshold(measure.metric, overrides)
    tier, undecided = _decide(limits, measure)
    return Verdict(
        stage=stage,
        metric=measure.metric,
        tier=tier,
        value=measure.value,
        low=measure.low,
        high=measure.high,
        n=measure.n,
        undecided=undecided,
        remedy=_remedy(limits, measure, tier=tier, undecided=undecided),
    )


def worst(verdicts: Iterable[Verdict]) -> Tier:
    """The tier of a whole job: that of its worst gate; INSUFFICIENT counts as MEDIUM. HIGH when there are none."""
    tiers = {verdict.tier for verdict in verdicts}
    if "REJECT" in tiers:
        return "REJECT"
    return "MEDIUM" if tiers & {"MEDIUM", "INSUFFICIENT"} else "HIGH"


def blocks(verdict: Verdict) -> bool:
    """Whether the job must stop here."""
    return verdict.tier == "REJECT"


def blocks_surely(verdict: Verdict) -> bool:
    """Whether the job must stop and no further sample could turn the verdict."""
    return verdict.tier == "REJECT" and not verdict.undecided


def _decide(limits: Threshold, measure: Measure) -> tuple[Tier, bool]:
    if measure.value is None:
        return "INSUFFICIENT", True
    if not isfinite(measure.value):
        return "REJECT", False
    value, low, high = measure.value, measure.low, measure.high
    exact = low is None or high is None or not isfinite(low) or not isfinite(high)
    low, high = (value, value) if exact or low is None or high is None else (low, high)
    worse_end, better_end = (low, high) if limits.better == "higher" else (high, low)
    match limits:
        case Tiered():
            tier, ends = _tiered(limits, value), (_tiered(limits, worse_end), _tiered(limits, better_end))
            undecided = ends != (tier, tier)
        case Baseline():
            tier = _against_baseline(limits, worse_end=worse_end, better_end=better_end)
            undecided = tier == "MEDIUM"
        case _:
            assert_never(limits)
    if measure.n >= limits.min_n:
        return tier, undecided
    surely_rejected = tier == "REJECT" and not undecided and not exact and not _is_biased(limits)
    return ("REJECT", False) if surely_rejected else ("INSUFFICIENT", True)


def _is_biased(limits: Threshold) -> bool:
    return isinstance(limits, Tiered) and limits.biased_when_few


def _tiered(limits: Tiered, value: float) -> Tier:
    """The tier of a value: a value on a boundary has the better tier."""
    sign = 1.0 if limits.better == "higher" else -1.0
    if sign * value >= sign * limits.high:
        return "HIGH"
    return "MEDIUM" if sign * value >= sign * limits.medium else "REJECT"


def _against_baseline(limits: Baseline, *, worse_end: float, better_end: float) -> Tier:
    sign = 1.0 if limits.better == "higher" else -1.0
    if sign * worse_end > sign * limits.baseline:
        return "HIGH"
    return "REJECT" if sign * better_end < sign * limits.baseline else "MEDIUM"


def _remedy(limits: Threshold, measure: Measure, *, tier: Tier, undecided: bool) -> str:
    if tier == "HIGH":
        return ""
    if measure.value is None:
        return (
            f"{limits.title}: no value could be computed from {measure.n} samples: raise --count or give more sources"
        )
    if tier == "INSUFFICIENT":
        return (
            f"{limits.title}: {measure.n} samples are too few to judge by (at least {limits.min_n}): raise --count or "
            f"give more sources; `--set min_n.{limits.metric}={max(1, measure.n)}` accepts so few"
        )
    lever = f"{limits.title}: {limits.remedy}"
    return f"{lever}; undecided on {measure.n} samples, so more of them may change this" if undecided else lever
