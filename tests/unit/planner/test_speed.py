"""Speeds: measured where they were, predicted where they were not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_planner.fit import GroupFit, fit_group
from realign_planner.models import ModelFacts, describe
from realign_planner.nodes import ClusterFacts, Link, NodeFacts, SpeedMeasurement
from realign_planner.speed import Speed, group_speed, node_speed

GB = 10**9


def model(name: str, bits: int = 16) -> ModelFacts:
    found = describe(name, bits=bits)
    assert isinstance(found, ModelFacts)
    return found


def node(name: str, *measured: tuple[float, float], usable_gb: int = 100, **facts: Any) -> NodeFacts:
    entries = tuple(SpeedMeasurement(params_b=size, examples_per_s=speed) for size, speed in measured)
    return NodeFacts(name=name, memory_bytes=usable_gb * GB, usable_bytes=usable_gb * GB, measured=entries, **facts)


def speed(name: str, *nodes: NodeFacts) -> Speed:
    """Of the first node, among all of them."""
    return node_speed(model(name), nodes[0], nodes)


def test_a_measured_size_stands_even_where_the_bigger_model_is_faster() -> None:
    large = node("large", (7, 0.76), (30, 1.03))
    assert speed("Qwen 7B", large) == Speed(examples_per_s=0.76, basis="measured")
    assert speed("30B", large) == Speed(examples_per_s=1.03, basis="measured")


def test_between_measured_sizes_the_seconds_of_an_example_are_interpolated() -> None:
    assert speed("15B", node("a", (10, 2.0), (20, 1.0))).examples_per_s == pytest.approx(1 / 0.75)


def test_outside_the_measured_sizes_speed_goes_with_one_over_parameters() -> None:
    measured = node("a", (7, 4.0), (30, 1.0))
    assert speed("70B", measured).examples_per_s == pytest.approx(30 / 70)
    assert speed("3.5B", measured).examples_per_s == pytest.approx(8.0)


def test_speed_uses_the_active_parameters_of_a_mixture() -> None:
    assert speed("Qwen3-235B-A22B", node("a", (22, 1.5))).examples_per_s == 1.5


def test_a_measurement_of_this_very_model_comes_before_its_size() -> None:
    entries = (
        SpeedMeasurement(params_b=7, examples_per_s=1.0),
        SpeedMeasurement(params_b=7, examples_per_s=9.0, model="qwen/qwen2.5-7b-instruct"),
    )
    exact = NodeFacts(name="a", memory_bytes=GB, usable_bytes=GB, measured=entries)
    assert node_speed(model("Qwen 7B"), exact, (exact,)).examples_per_s == 9.0


def test_an_unmeasured_twin_of_a_measured_chip_is_as_fast() -> None:
    measured = node("a", (7, 4.0), chip="Apple M4 Max", gflops=10_000)
    slow = node("s", (7, 0.1), chip="Apple M1", gflops=5_000)
    twin = node("b", chip="Apple M4 Max")
    assert speed("Qwen 7B", twin, measured, slow) == Speed(examples_per_s=4.0, basis="prior")


def test_an_unmeasured_node_is_scaled_by_its_gflops_against_the_measured_ones() -> None:
    assert speed("Qwen 7B", node("b", gflops=5_000), node("a", (7, 4.0), gflops=10_000)).examples_per_s == 2.0


def test_bandwidth_stands_in_for_gflops_that_nobody_measured() -> None:
    by_gflops = speed("Qwen 7B", node("b", gflops=12_956))
    by_bandwidth = speed("Qwen 7B", node("b", bandwidth=546e9))
    assert by_bandwidth.examples_per_s == pytest.approx(by_gflops.examples_per_s)


def test_without_any_measurement_gflops_count_against_the_machine_of_the_seed_table() -> None:
    assert speed("Qwen 7B", node("b", gflops=12_956)).examples_per_s == pytest.approx(3.86)


def test_a_node_of_which_nothing_is_known_is_taken_to_be_the_slowest() -> None:
    fast, slow = node("f", (7, 4.0)), node("s", (7, 1.0))
    assert speed("Qwen 7B", node("x", gpu_cores=80), fast, slow).examples_per_s == 1.0


def test_a_node_that_may_work_half_the_time_has_half_the_speed() -> None:
    assert speed("Qwen 7B", node("a", (7, 4.0), duty_fraction=0.5)).examples_per_s == 2.0


@given(
    st.lists(st.tuples(st.floats(0.1, 500), st.floats(0.01, 100)), min_size=1, max_size=5),
    st.floats(0.1, 900).map(lambda size: round(size, 1)),
)
def test_a_speed_between_two_sizes_lies_between_their_speeds(points: list[tuple[float, float]], size: float) -> None:
    found = speed(f"{size}B", node("a", *points)).examples_per_s
    speeds = dict(points)
    if min(speeds) <= size <= max(speeds):
        assert min(speeds.values()) * 0.999 <= found <= max(speeds.values()) * 1.001
    assert found > 0


def pair(latency_us: float) -> tuple[tuple[NodeFacts, NodeFacts], ClusterFacts]:
    members = (node("a", (70, 1.0)), node("b", (70, 1.0)))
    link = Link(between=("a", "b"), kind="rdma", latency_s=latency_us / 1e6, bytes_per_s=6e9)
    return members, ClusterFacts(name="c", nodes=members, links=(link,))


def group_rate(latency_us: float, *, batch_size: int = 8) -> float:
    members, cluster = pair(latency_us)
    layout = fit_group(model("Llama 70B"), members)
    assert isinstance(layout, GroupFit)
    return group_speed(
        model("Llama 70B"), layout, members, backend="jaccl", batch_size=batch_size, cluster=cluster
    ).examples_per_s


def test_a_slower_link_makes_a_group_slower_and_a_larger_batch_hides_it() -> None:
    assert group_rate(15) > group_rate(300) > 0
    assert group_rate(300, batch_size=32) > group_rate(300, batch_size=4)


def test_two_tensor_ranks_stay_below_twice_one() -> None:
    assert group_rate(1) < 2.0


def test_the_slowest_rank_sets_the_pace_of_tensor_parallelism() -> None:
    members = (node("a", (70, 4.0)), node("b", (70, 0.5)))
    cluster = ClusterFacts(name="c", nodes=members)
    layout = GroupFit(parallelism="tensor", shares=(0.5, 0.5), layers=((1, 80),) * 2, sequences=8)
    rate = group_speed(
        model("Llama 70B"), layout, members, backend="ring", batch_size=8, cluster=cluster
    ).examples_per_s
    assert rate < 2 * 0.5
