"""Interval: the range that a measured rate's true value lies in with a given confidence. Closed forms only.

Means need resampling, which runs in the worker child: see bootstrap.py.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson(hits: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927), within 0..1; the whole of 0..1 when n is 0.

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
