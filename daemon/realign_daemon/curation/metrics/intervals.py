"""Interval: the range that a measured rate's true value lies in with a given confidence. Closed forms only.

Means need resampling, which runs in the worker child: see bootstrap.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist


def wilson(hits: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927), within 0..1; the whole of 0..1 when n is 0.

    Neither need be whole: an effective number of trials is not.

    Raises:
        ValueError: hits outside 0..n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} trials cannot be")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, spread = hits / n, z * z / n
    centre = (rate + spread / 2) / (1 + spread)
    reach = z * sqrt(rate * (1 - rate) / n + spread / (4 * n)) / (1 + spread)
    # The ends are exact at 0 and n hits, where rounding would miss them.
    return (0.0 if hits == 0 else centre - reach, 1.0 if hits == n else centre + reach)


def clustered_wilson(counts: Sequence[tuple[int, int]], *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a rate over clusters of trials that succeed together, each as (hits, trials).

    The trials count for as many independent ones as give the variance that is seen between clusters: their number
    divided by Kish's design effect (Survey Sampling, 1965), put into the interval as Rao and Scott do (Biometrics 48,
    1992), and never more than there are. Few hits, or few misses, say little of how they cluster: no end lies nearer
    to the rate's limit than it would if there were none at all, each cluster then being one trial. With one trial each
    it is `wilson`.

    Raises:
        ValueError: a cluster has hits outside 0..trials.
    """
    if any(not 0 <= hits <= trials for hits, trials in counts):
        raise ValueError("a cluster with more hits than trials cannot be")
    counts = [(hits, trials) for hits, trials in counts if trials]
    clusters, hits, n = len(counts), sum(one for one, _ in counts), sum(trials for _, trials in counts)
    if hits in (0, n):
        return wilson(clusters if hits else 0, clusters, confidence=confidence)
    effective = _effective(counts, hits / n)
    low, high = wilson(effective * hits / n, effective, confidence=confidence)
    floor, ceiling = (wilson(all_or_none, clusters, confidence=confidence) for all_or_none in (clusters, 0))
    return min(low, floor[0]), max(high, ceiling[1])


def _effective(counts: Sequence[tuple[int, int]], rate: float) -> float:
    """How many independent trials tell as much; 1 of a single cluster, in which nothing shows how far trials agree."""
    clusters, n = len(counts), sum(trials for _, trials in counts)
    if clusters == 1:
        return 1.0
    between = sum((hits - rate * trials) ** 2 for hits, trials in counts) * clusters / (clusters - 1)
    independent = rate * (1 - rate) * n * n / (n - 1)  # the same sum, were every trial a cluster of its own
    return n / max(1.0, between / independent)
