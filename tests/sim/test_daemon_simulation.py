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
from tests.sim.daemon_scene import A_FULL_HOME, A_PROMISE, A_VOTE, Scene
from tests.sim.daemon_story import Sabotage, story

SEEDS = 100
SCENES = 10
A_TEST = 25  # small enough that the cores of a machine share them


@pytest.mark.parametrize("first", range(0, SEEDS, A_TEST))
def test_no_trouble_makes_a_cluster_break_a_promise(first: int) -> None:
    broken = [outcome for seed in range(first, first + A_TEST) if (outcome := story(seed)).violations]

    assert not broken, f"again with `python -m tests.sim --first {broken[0].seed} --seeds 1`"


@pytest.mark.parametrize(
    ("sabotage", "scene", "seeds"),
    [
        (daemon_sabotage.skip_the_commit, None, 30),
        (daemon_sabotage.acknowledge_before_the_commit, None, 30),
        (daemon_sabotage.no_dedup_at_merge, None, 3),
        (daemon_sabotage.one_is_a_majority, None, 60),
        (daemon_sabotage.adopt_automatically, None, 120),
        (daemon_sabotage.forget_votes, A_VOTE, 20),
        (daemon_sabotage.forget_promises, A_PROMISE, 20),
        (daemon_sabotage.hold_back_everything, A_FULL_HOME, 1),
        (daemon_sabotage.forget_removals, None, 60),
    ],
)
def test_a_broken_promise_is_found_out(sabotage: Sabotage, scene: Scene | None, seeds: int) -> None:
    assert any(story(seed, sabotage=sabotage, scene=scene).violations for seed in range(seeds))


@pytest.mark.parametrize("scene", [A_VOTE, A_PROMISE], ids=["a vote", "a promise"])
def test_a_voter_that_dies_at_the_worst_moment_lets_no_job_end_in_two_ways(scene: Scene) -> None:
    for seed in range(SCENES):
        assert not story(seed, scene=scene).violations


def test_a_home_without_room_that_comes_back_hears_that_its_job_was_adopted() -> None:
    for seed in range(SCENES):
        assert not story(seed, scene=A_FULL_HOME).violations


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
