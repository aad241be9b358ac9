"""Simulates many small clusters of whole daemons, one for each seed, and prints one JSON line of what came of them.

    python -m tests.sim --seeds 2000            both cores, some two minutes
    python -m tests.sim --first 1234 --seeds 1  one of them again, with its violations in full

Exits 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import sys
import time

from tests.sim.daemon_story import Outcome, story

CHUNK = 10  # seeds that a process takes at a time
CHUNKS = 20  # that it takes in all: it leaves behind what its worlds were, some 1.5 MB each


def main() -> int:
    flags = argparse.ArgumentParser(description="Simulate clusters of whole daemons in trouble.")
    flags.add_argument("--seeds", type=int, default=2000, help="how many")
    flags.add_argument("--first", type=int, default=0, help="the first of them")
    flags.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = flags.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    began_s = time.perf_counter()
    fresh = multiprocessing.get_context("forkserver")
    fresh.set_forkserver_preload([story.__module__])
    with fresh.Pool(min(chosen.processes, len(seeds)), gc.disable, maxtasksperchild=CHUNKS) as processes:
        outcomes = processes.map(story, seeds, chunksize=CHUNK)
    failing = [outcome for outcome in outcomes if outcome.violations]
    for outcome in failing:
        tell(outcome)
    figures = {
        "seeds": len(outcomes),
        "violations": len(failing),
        "virtual_hours": round(sum(outcome.virtual_s for outcome in outcomes) / 3600, 2),
        "wall_s": round(time.perf_counter() - began_s, 1),
        "cpu_s_per_seed": round(sum(outcome.cpu_s for outcome in outcomes) / len(outcomes), 3),
        "first_failing_seed": failing[0].seed if failing else None,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 1 if failing else 0


def tell(outcome: Outcome) -> None:
    """Says what was broken, and how to have it again."""
    again = f"python -m tests.sim --first {outcome.seed} --seeds 1"
    for violation in outcome.violations:
        sys.stderr.write(f"seed {outcome.seed}: {violation}\n")
    sys.stderr.write(f"seed {outcome.seed}: after {outcome.told}; again with `{again}`\n")


if __name__ == "__main__":
    sys.exit(main())
