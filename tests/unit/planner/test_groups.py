"""Groups: who holds which part of a model, and what a step is assumed to cost."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planner.builders import cluster, names, node, plan, rdma

from realign_planner.document import plan_document
from realign_planner.nodes import Link
from realign_planner.plan import Plan, PlannedGroup
from realign_planner.speed import SYNC_S, UNKNOWN_LATENCY_S


def group(found: Plan) -> PlannedGroup:
    shown = found.models[0].group
    assert shown is not None
    return shown


def test_the_head_of_a_pipeline_has_the_last_layers_and_every_layer_is_somewhere_once() -> None:
    found = plan("sft Qwen 72B", cluster(node("a", 60, (7, 1.0)), node("b", 120, (7, 0.5))))
    ranks = group(found).ranks
    assert [(rank.name, rank.layers) for rank in ranks] == [("a", (55, 80)), ("b", (1, 54))]
    assert group(found).split == (26, 54)


def test_every_rank_of_a_tensor_group_has_a_part_of_every_layer_and_there_is_no_split() -> None:
    found = plan("sft Llama 70B", cluster(node("a", 100, (7, 1.0)), node("b", 100, (7, 1.0))))
    assert [(rank.name, rank.layers, rank.share) for rank in group(found).ranks] == [
        ("a", (1, 80), 0.5),
        ("b", (1, 80), 0.5),
    ]
    assert group(found).split == ()


def test_a_step_costs_the_slowest_ranks_compute_and_two_messages_a_layer_over_the_measured_link() -> None:
    facts = cluster(node("a", 100, (70, 1.0)), node("b", 100, (70, 1.0)), links=(rdma("a", "b"),))
    found = group(plan("sft Llama 70B", facts))
    cost = found.cost
    assert (cost.collectives, cost.latency_s, cost.link_basis) == (160, 15e-6, "measured")
    assert cost.message_s > 15e-6 + SYNC_S
    tokens_per_s = cost.batch_size / (cost.compute_s + cost.waiting_s)
    assert found.examples_per_s == pytest.approx(tokens_per_s / 239.7, rel=1e-3)


def test_nothing_is_shared_while_some_node_knows_no_groups() -> None:
    facts = cluster(node("a", 100, (70, 1.0)), node("b", 100, (70, 1.0)), links=(rdma("a", "b"),))
    older = plan("sft Llama 70B", replace(facts, may_group=False))
    assert not older.fits
    assert "some node has a version of realign without groups: update it" in " ".join(older.reasons)


def test_a_link_that_nobody_measured_is_assumed_and_called_so() -> None:
    found = group(plan("sft Llama 70B", cluster(node("a", 100, (70, 1.0)), node("b", 100, (70, 1.0)))))
    assert (found.cost.latency_s, found.cost.link_basis) == (UNKNOWN_LATENCY_S, "prior")


def test_the_ring_does_not_count_on_what_only_rdma_gives() -> None:
    network = Link(between=("a", "c"), kind="network", latency_s=2e-4, bytes_per_s=1e9)
    nodes = tuple(node(name, 60, (7, 1.0)) for name in "abc")
    links = (rdma("a", "b"), rdma("b", "c"), network)
    found = group(plan("sft Qwen 72B", cluster(*nodes, links=links)))
    assert found.backend == "ring"
    assert found.cost.latency_s == UNKNOWN_LATENCY_S


def test_each_model_runs_where_its_weights_are() -> None:
    facts = cluster(*(node(name, 100, (70, 1.0)) for name in "abc"))
    found = plan(
        "sft",
        facts,
        target="Llama 70B",
        judge="Qwen 7B",
        until="quality_filter",
        holders={"Llama 70B": ("a", "b"), "Qwen 7B": ("b", "c")},
    )
    assert (found.strategy, names(found)) == ("sharded", ["a", "b"])
    strategies = {model.role: (model.strategy, model.on_nodes) for model in found.models}
    assert strategies == {
        "target": ("sharded", ("a", "b")),
        "generator": ("sharded", ("a", "b")),
        "judge": ("independent_batches", ("b", "c")),
    }


def test_a_plan_document_shows_the_group_of_each_model_that_has_one() -> None:
    facts = cluster(node("a", 100, (7, 1.0)), node("b", 100, (7, 1.0)), links=(rdma("a", "b"),))
    document: dict[str, Any] = plan_document(plan("sft Llama 70B", facts, judge="Qwen 7B"))
    shown = document["group"]
    assert shown == document["models"][0]["group"]
    assert [(rank["rank"], rank["node"], rank["layers"]) for rank in shown["ranks"]] == [
        (0, "a", [1, 80]),
        (1, "b", [1, 80]),
    ]
    assert shown["link"] == {"latency_s": 15e-6, "bytes_per_s": 6e9, "basis": "measured"}
    assert document["models"][2]["group"] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(20, 140), min_size=2, max_size=5))
def test_a_pipeline_holds_every_layer_once_whatever_the_nodes_have(sizes: list[int]) -> None:
    found = plan("sft Qwen 72B", cluster(*(node(f"n{place}", size) for place, size in enumerate(sizes))))
    shown = found.models[0].group
    if shown is None or shown.parallelism == "tensor":
        return
    held = sorted(rank.layers for rank in shown.ranks if rank.layers)
    assert held[0][0] == 1
    assert held[-1][1] == 80
    assert all(before[1] + 1 == after[0] for before, after in pairwise(held))
    assert sum(shown.split) == 80
    assert shown.ranks[0].layers == held[-1]
