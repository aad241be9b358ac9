"""Measures: what a stage found out about its own work, by metric name. Gates read some, reports show all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.metrics.intervals import clustered_wilson, wilson
from realign_planner.gates import Measure

Measures = dict[str, Measure]

# The least and the most that one value of each mean can be.
SCALES: Final[Mapping[str, tuple[float, float]]] = {
    "abstention_gain": (-4.0, 4.0),  # from wrong, which costs 3 points, to right, and back
    "closed_book_gain": (-1.0, 1.0),
    "gain_over_random": (-1.0, 1.0),
    "held_out_gain": (-12.5, 12.5),  # nats a token: from certain to a guess among 2**18 tokens
    "pass_gain": (-1.0, 1.0),
    "preference_gap": (-1.0, 1.0),
    "quality_score": (1.0, 10.0),
    "regression": (-1.0, 1.0),
    "task_metric": (-9.0, 9.0),
    "training_reward": (-1.1, 1.1),  # right, and in the asked form
    "win_rate": (0.0, 1.0),
    "wrong_answer_fall": (-1.0, 1.0),
}
UNSEEN: Final = 0.05  # the chance of never seeing what is still to be reckoned with


def exact(metric: str, value: float | None, n: int) -> Measures:
    """A figure that is counted over everything there is, so that it has no interval."""
    return {metric: Measure(metric=metric, value=value, n=n)}


def rate(metric: str, hits: int, n: int) -> Measure:
    """A share with its Wilson 95 % interval; nothing to measure when n is 0."""
    if n == 0:
        return Measure(metric=metric, value=None, n=0)
    low, high = wilson(hits, n)
    return Measure(metric=metric, value=hits / n, low=low, high=high, n=n)


def share(metric: str, hits_by_prompt: Iterable[tuple[int, int]]) -> Measure:
    """A share of the samples of all prompts, of each (hits, samples); its n are samples.

    Samples of one prompt err together, so the 95 % interval is that of `clustered_wilson`; with one sample a prompt it
    is that of `rate`.
    """
    counts = list(hits_by_prompt)
    n = sum(samples for _, samples in counts)
    if n == 0:
        return Measure(metric=metric, value=None, n=0)
    low, high = clustered_wilson(counts)
    return Measure(metric=metric, value=sum(hits for hits, _ in counts) / n, low=low, high=high, n=n)


async def mean(desk: Desk, metric: str, values: Sequence[float]) -> Measure:
    """A mean with its bootstrap 95 % interval, resampled with the job's seed; nothing to measure without values.

    Equal values have nothing to resample and are not certain for that: see `_unvaried`. The metric must have a scale.
    """
    scale = SCALES[metric]
    if not values:
        return Measure(metric=metric, value=None, n=0)
    if min(values) == max(values):
        low, high = _unvaried(values[0], len(values), scale)
        return Measure(metric=metric, value=values[0], low=low, high=high, n=len(values))
    interval = await desk.compute(
        "intervals.bootstrap_mean", {"values": [float(value) for value in values], "seed": desk.spec.seed}
    )
    average = sum(values) / len(values)
    return Measure(metric=metric, value=average, low=interval["low"], high=interval["high"], n=len(values))


def _unvaried(value: float, n: int, scale: tuple[float, float]) -> tuple[float, float]:
    """The interval of the mean of a population of which n draws all had the same value.

    What n draws never showed has at most the share 1 - UNSEEN ** (1 / n) of it, about 3 / n: the rule of three (Hanley
    and Lippman-Hand, JAMA 249, 1983). That share may lie at either end of the scale, and in the interval it does. One
    draw tells nothing of the others: the interval is the scale.
    """
    unseen = 1.0 if n == 1 else 1 - UNSEEN ** (1 / n)
    least, most = scale
    return value + unseen * (least - value), value + unseen * (most - value)
