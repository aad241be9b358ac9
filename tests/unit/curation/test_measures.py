"""Measures: shares and means with intervals that promise no more than the samples can hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.metrics.intervals import clustered_wilson, wilson
from realign_daemon.curation.stages import measures
from realign_daemon.curation.stages.measures import SCALES, rate, share
from realign_daemon.testing.scripted_desk import ScriptedDesk
from realign_planner import gates

counts = st.integers(1, 12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
clusters = st.lists(counts, min_size=1, max_size=30)


def desk() -> ScriptedDesk:
    return ScriptedDesk(lambda _: None)


@given(clusters)
def test_a_share_lies_in_its_interval_which_is_never_a_point(hits: list[tuple[int, int]]) -> None:
    found = share("valid_fraction", hits)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    assert found.low < found.high
    assert found.n == sum(samples for _, samples in hits)


@given(clusters)
def test_samples_of_the_same_prompts_never_say_more_than_as_many_prompts(hits: list[tuple[int, int]]) -> None:
    low, high = clustered_wilson(hits)
    least, most = wilson(sum(one for one, _ in hits), sum(n for _, n in hits))
    assert low <= least + 1e-12
    assert high >= most - 1e-12


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_with_one_sample_a_prompt_a_share_is_a_rate(hits: list[bool]) -> None:
    found, plain = share("m", [(int(hit), 1) for hit in hits]), rate("m", sum(hits), len(hits))
    assert (found.value, found.n) == (plain.value, plain.n)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


@pytest.mark.parametrize("hits", [0, 4])
def test_where_all_samples_are_alike_only_the_prompts_count(hits: int) -> None:
    found = share("m", [(hits, 4)] * 50)
    assert (found.low, found.high) == wilson(50 * (hits // 4), 50)


def test_a_share_of_nothing_is_nothing() -> None:
    assert share("m", []).value is None
    assert share("m", [(0, 0)]).value is None


def test_a_miss_more_never_makes_a_share_surer() -> None:
    """With few misses the spread between prompts is not known, which must not pass for there being none."""
    found = [clustered_wilson([(4, 4)] * (100 - misses) + [(3, 4)] * misses) for misses in range(20)]
    lows = [low for low, _ in found]
    assert lows == sorted(lows, reverse=True)


def test_more_hits_than_samples_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot be"):
        clustered_wilson([(1, 1), (3, 2)])


@pytest.mark.parametrize("seed", range(5))
def test_the_effective_number_of_trials_is_that_of_the_ratio_estimators_variance(seed: int) -> None:
    """Oracle: the linearised variance of a ratio in numpy, against that of as many independent trials."""
    chance = np.random.default_rng(seed)
    sizes = chance.integers(2, 9, size=60)
    hits = chance.binomial(sizes, chance.beta(1, 1, size=60))
    rate_, n = hits.sum() / sizes.sum(), sizes.sum()
    variance = np.var(60 * (hits - rate_ * sizes) / n, ddof=1) / 60
    effective = n * min(1.0, rate_ * (1 - rate_) / (n - 1) / variance)
    z = 1.959963984540054
    ends = np.roots([1 + z * z / effective, -(2 * rate_ + z * z / effective), rate_**2])
    found = clustered_wilson([(int(a), int(b)) for a, b in zip(hits, sizes, strict=True)])
    assert found == (pytest.approx(min(ends), abs=1e-6), pytest.approx(max(ends), abs=1e-6))


@pytest.mark.parametrize(
    ("prompts", "rate_", "agreement"), [(20, 0.9, 0.3), (60, 0.95, 0.8), (60, 0.5, 0.3), (200, 0.99, 0.5)]
)
def test_the_interval_of_a_share_covers_it_where_the_plain_one_does_not(
    prompts: int, rate_: float, agreement: float
) -> None:
    """800 seeded draws: the standard error of a coverage of 95 % is 0.8 %."""
    chance, odds = np.random.default_rng(11), (1 - agreement) / agreement
    covered = plain = 0
    for _ in range(800):
        drawn = chance.binomial(8, chance.beta(rate_ * odds, (1 - rate_) * odds, size=prompts))
        low, high = clustered_wilson([(int(one), 8) for one in drawn])
        covered += low <= rate_ <= high
        low, high = wilson(int(drawn.sum()), 8 * prompts)
        plain += low <= rate_ <= high
    assert covered / 800 > 0.93
    assert plain / 800 < 0.85


@pytest.mark.parametrize("metric", SCALES)
async def test_no_gate_is_sure_of_one_value(metric: str) -> None:
    least, most = SCALES[metric]
    for value in (least, (least + most) / 2, most):
        found = await measures.mean(desk(), metric, [value])
        for settings in ({}, {f"min_n.{metric}": "1"}):
            assert gates.judge("stage", found, overrides=settings).undecided


async def test_equal_values_are_as_sure_as_the_rule_of_three_lets_them_be() -> None:
    unseen = 1 - 0.05 ** (1 / 60)
    assert (1 - unseen) ** 60 == pytest.approx(0.05)  # a share so large is missed by 60 draws once in twenty times
    found = await measures.mean(desk(), "regression", [0.0] * 60)
    assert (found.value, found.low, found.high) == (0.0, pytest.approx(-unseen), pytest.approx(unseen))
    at_the_end = await measures.mean(desk(), "quality_score", [10.0] * 60)
    assert (at_the_end.low, at_the_end.high) == (pytest.approx(10 - 9 * unseen), 10.0)


async def test_a_mean_of_nothing_is_nothing_and_one_without_a_scale_a_defect() -> None:
    assert (await measures.mean(desk(), "win_rate", [])).value is None
    with pytest.raises(KeyError):
        await measures.mean(desk(), "no_such_metric", [1.0])
