"""Small clusters of whole daemons in trouble: is anything that was promised broken afterwards?

A harness that finds nothing proves nothing, so every promise that the whole relies on is broken once, and must be
missed. Two thousand seeds and more: `python -m tests.sim`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.sim import daemon_sabotage
from tests.sim.daemon_story import Sabotage, story

SEEDS = 150
A_TEST = 25  # small enough that the cores of a machine share them


@pytest.mark.parametrize("first", range(0, SEEDS, A_TEST))
def test_no_trouble_makes_a_cluster_break_a_promise(first: int) -> None:
    broken = [outcome for seed in range(first, first + A_TEST) if (outcome := story(seed)).violations]

    assert not broken, f"again with `python -m tests.sim --first {broken[0].seed} --seeds 1`"


@pytest.mark.parametrize(
    ("sabotage", "seeds"),
    [
        (daemon_sabotage.skip_the_commit, 30),
        (daemon_sabotage.acknowledge_before_the_commit, 30),
        (daemon_sabotage.no_dedup_at_merge, 3),
    ],
)
def test_a_broken_promise_is_found_out(sabotage: Sabotage, seeds: int) -> None:
    assert any(story(seed, sabotage=sabotage).violations for seed in range(seeds))


def test_a_seed_gives_the_same_story_again_however_python_hashes() -> None:
    program = "from tests.sim.daemon_story import story; print([story(seed).trace_hash for seed in (1, 5, 11)])"

    def traces(hash_seed: str) -> str:
        environment: dict[str, Any] = {**os.environ, "PYTHONHASHSEED": hash_seed}
        finished = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return finished.stdout

    assert traces("1") == traces("2") == traces("3")
