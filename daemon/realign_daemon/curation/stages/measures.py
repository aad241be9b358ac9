"""Measures: what a stage found out about its own work, by metric name. Gates read some, reports show all."""

from __future__ import annotations

from collections.abc import Sequence

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.metrics.intervals import wilson
from realign_planner.gates import Measure

Measures = dict[str, Measure]


def exact(metric: str, value: float | None, n: int) -> Measures:
    """A figure that is counted over everything there is, so that it has no interval."""
    return {metric: Measure(metric=metric, value=value, n=n)}


def rate(metric: str, hits: int, n: int) -> Measure:
    """A share with its Wilson 95 % interval; nothing to measure when n is 0."""
    if n == 0:
        return Measure(metric=metric, value=None, n=0)
    low, high = wilson(hits, n)
    return Measure(metric=metric, value=hits / n, low=low, high=high, n=n)


async def mean(desk: Desk, metric: str, values: Sequence[float]) -> Measure:
    """A mean with its bootstrap 95 % interval, resampled with the job's seed; nothing to measure without values."""
    if not values:
        return Measure(metric=metric, value=None, n=0)
    average = sum(values) / len(values)
    if len(values) == 1 or min(values) == max(values):  # nothing to resample
        return Measure(metric=metric, value=average, low=average, high=average, n=len(values))
    interval = await desk.compute(
        "intervals.bootstrap_mean", {"values": [float(value) for value in values], "seed": desk.spec.seed}
    )
    return Measure(metric=metric, value=average, low=interval["low"], high=interval["high"], n=len(values))
