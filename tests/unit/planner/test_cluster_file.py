"""Cluster files: what they give, and the sentence they fail with."""

from __future__ import annotations

from pathlib import Path

import pytest

from realign_planner.cluster_file import parse
from realign_planner.errors import ClusterFileError
from realign_planner.nodes import ClusterFacts, Link, NodeFacts, SpeedMeasurement

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "clusters").glob("*.toml"))
WHOLE = """
name = "attic"
[[node]]
name = "one"
chip = "Apple M4 Max"
memory_gb = 128
usable_gb = 115.5
free_gb = 60
gpu_cores = 40
gflops = 12956
bandwidth_gbs = 546
peak_batch_size = 32
duty_fraction = 0.5
portable = true
[[node.measured]]
params_b = 7
examples_per_s = 3.86
model = "Qwen/Qwen2.5-7B-Instruct"
[[node]]
name = "two"
memory_gb = 10
paused = true
[[link]]
between = ["two", "one"]
kind = "ethernet"
latency_us = 300
gbytes_per_s = 1.25
"""


def test_a_file_gives_every_fact_in_bytes_and_seconds() -> None:
    assert parse(WHOLE) == ClusterFacts(
        name="attic",
        nodes=(
            NodeFacts(
                name="one",
                chip="Apple M4 Max",
                memory_bytes=128_000_000_000,
                usable_bytes=115_500_000_000,
                free_bytes=60_000_000_000,
                gpu_cores=40,
                gflops=12956.0,
                bandwidth=546e9,
                peak_batch_size=32,
                duty_fraction=0.5,
                portable=True,
                measured=(SpeedMeasurement(params_b=7.0, examples_per_s=3.86, model="Qwen/Qwen2.5-7B-Instruct"),),
            ),
            NodeFacts(name="two", memory_bytes=10_000_000_000, usable_bytes=9_000_000_000, paused=True),
        ),
        links=(Link(between=("two", "one"), kind="ethernet", latency_s=300e-6, bytes_per_s=1.25e9),),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "is not TOML"),
        ("", "describes no node"),
        ("[[node]]\nmemory_gb = 8", "name of node 1 is missing"),
        ("[[node]]\nname = 'a'", "memory_gb of node 'a' is missing"),
        ("[[node]]\nname = 'a'\nmemory_gb = -8", "memory_gb of node 'a' is -8"),
        ("[[node]]\nname = 'a'\nmemory_gb = true", "is True; give a number above 0"),
        ("[[node]]\nname = 'a'\nmemory_gb = nan", "is nan; give a number above 0"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\nusable_gb = 9", "usable_gb above memory_gb"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\nduty_fraction = 2", "duty_fraction=2"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\nram = 9", "unknown key 'ram'"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\npeak_batch_size = 1.5", "give a whole number from 1"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\nportable = 1", "give true or false"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\n[[node]]\nname = 'a'\nmemory_gb = 8", "two nodes named 'a'"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\n[[link]]\nbetween = ['a', 'b']", "name two nodes of a"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\n[[link]]\nbetween = ['a', 'a']", "name two nodes of a"),
        ("node = 3", "give a list of tables"),
        ("[[node]]\nname = 'a'\nmemory_gb = 8\n[[node.measured]]\nparams_b = 7", "examples_per_s of a measured entry"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key_and_the_place(text: str, says: str) -> None:
    with pytest.raises(ClusterFileError) as error:
        parse(text)
    assert says in str(error.value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_files_can_be_read(path: Path) -> None:
    assert parse(path.read_text()).nodes
