"""Training over a group of nodes: only where it surely pays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.planner.builders import cluster, node, plan, rdma

from realign_planner.document import plan_document
from realign_planner.nodes import ClusterFacts, Link
from realign_planner.plan import Plan, PlannedTraining
from realign_planner.setbacks import Setback, bars
from realign_planner.training import LEAST_ALONE_S, LEAST_GAIN

SLOW = Link(between=("a", "b"), kind="wifi", latency_s=3e-3, bytes_per_s=5e6)


def pair(*links: Link, speeds: tuple[float, float] = (2.0, 2.0)) -> ClusterFacts:
    return cluster(*(node(name, 50, (7, speed)) for name, speed in zip("ab", speeds, strict=True)), links=links)


def training(found: Plan) -> PlannedTraining:
    assert found.training is not None
    return found.training


def test_two_equal_nodes_on_a_fast_link_train_together() -> None:
    found = plan("sft Qwen 7B", pair(rdma("a", "b")), passages=1000)
    shared = training(found)
    assert (shared.nodes, shared.backend) == (("a", "b"), "jaccl")
    assert shared.gain is not None
    assert LEAST_GAIN <= shared.gain <= 2.0
    assert found.predicted is not None
    seconds = {stage.stage: stage.expected_s for stage in found.predicted.stages}
    assert seconds["train"] == pytest.approx(shared.group_s)


def test_a_link_whose_speed_is_a_guess_is_not_trained_over() -> None:
    guess = replace(rdma("a", "b"), basis="prior")
    assert training(plan("sft Qwen 7B", pair(guess), passages=1000)).nodes == ("a",)
    known = replace(rdma("a", "b"), kind="network")
    shared = training(plan("sft Qwen 7B", pair(guess, known), passages=1000))
    assert (shared.nodes, shared.backend) == (("a", "b"), "ring")


@pytest.mark.parametrize(
    ("facts", "passages", "because"),
    [
        (pair(rdma("a", "b")), 60, f"it takes less than {LEAST_ALONE_S:.0f} s"),
        (pair(SLOW), 1000, f"must promise {LEAST_GAIN} times"),
        (pair(rdma("a", "b"), speeds=(2.0, 0.6)), 1000, f"must promise {LEAST_GAIN} times"),  # who waits for whom
        (pair(), 1000, "over a link that is known"),
        (cluster(node("a", 50, (7, 2.0))), 1000, "no other node"),
    ],
)
def test_one_node_trains_alone_where_a_group_does_not_surely_pay(
    facts: ClusterFacts, passages: int, because: str
) -> None:
    alone = training(plan("sft Qwen 7B", facts, passages=passages))
    assert (alone.nodes, alone.backend) == (("a",), None)
    assert because in alone.because


def test_a_group_that_was_lost_a_short_while_ago_does_not_train() -> None:
    setbacks = [Setback(nodes=("a", "b"), backend=backend, lost=(), at_s=0.0) for backend in ("jaccl", "ring")]
    found = plan("sft Qwen 7B", pair(rdma("a", "b")), passages=1000, bars=bars(setbacks, 1.0))
    assert training(found).nodes == ("a",)


def test_a_node_that_does_not_hold_all_of_the_model_takes_no_part() -> None:
    facts = pair(rdma("a", "b"))
    found = plan("sft Qwen 7B", facts, passages=1000, holders={"Qwen 7B": ("b",)})
    assert training(found).nodes == ("b",)


def test_a_split_target_is_not_trained_and_the_plan_says_why() -> None:
    facts = cluster(*(node(name, 100, (70, 1.0)) for name in "ab"), links=(rdma("a", "b"),))
    found = plan("sft Llama 70B", facts)
    assert found.training is None
    assert "needs a node that holds the whole model" in found.cannot_train
    assert found.cannot_train in found.warnings
    assert plan("sft Llama 70B", facts, until="quality_filter").cannot_train == ""


def test_the_plan_shows_both_ways_to_train() -> None:
    document: dict[str, Any] = plan_document(plan("dpo Qwen 7B", pair(rdma("a", "b")), passages=1000))
    shown = document["training"]
    assert (shown["stage"], shown["nodes"], shown["backend"]) == ("train_dpo", ["a", "b"], "jaccl")
    assert shown["gain"] == pytest.approx(shown["alone_s"] / shown["group_s"])
    assert shown["gradient_bytes"] > 10_000_000
