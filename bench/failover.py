"""How long a cluster is without a leader, in virtual time: real views, beats and connections over a simulated network.

`python bench/failover.py [SEEDS]` prints one JSON document. For every way in which a leader can go, and for clusters of
two and three nodes: `failover`, from the last beat of the old leader that anybody heard to the first moment of a new
one; and `back`, from the end of the trouble (of a dead daemon: from its restart) until all nodes hear each other and
follow the same leader. `ratio` is the worst figure over its limit: failover 8 s in the middle and 12 s for one in a
hundred, back within 5 s, after a sleep 10 s.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys

import structlog

from realign_daemon.testing.failover import WAYS, measure

SEEDS = 100
SIZES = (2, 3)
MIDDLE_LIMIT_S = 8.0
TAIL_LIMIT_S = 12.0
BACK_LIMIT_S = {"crash": 5.0, "power": 5.0, "cut": 5.0, "freeze": 10.0, "sleep": 10.0}


def quantile(values: list[float], fraction: float) -> float:
    """The least value that so many are no greater than."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def main() -> None:
    """Measures everything and prints it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    figures: dict[str, dict[str, float]] = {}
    ratios: list[float] = []
    for way in WAYS:
        for size in SIZES:
            found = [measure(way, size, seed) for seed in range(seeds)]
            failover, back = [one.failover_s for one in found], [one.back_s for one in found]
            middle_s, tail_s, back_s = statistics.median(failover), quantile(failover, 0.99), quantile(back, 0.99)
            figures[f"{way}, {size} nodes"] = {
                "failover_p50_s": round(middle_s, 2),
                "failover_p99_s": round(tail_s, 2),
                "back_p50_s": round(statistics.median(back), 2),
                "back_p99_s": round(back_s, 2),
            }
            ratios += [middle_s / MIDDLE_LIMIT_S, tail_s / TAIL_LIMIT_S, back_s / BACK_LIMIT_S[way]]
    document = {"benchmark": "failover", "seeds": seeds, "ratio": round(max(ratios), 3), "figures": figures}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
