"""Promises of a plan about any cluster."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planner.builders import GB, cluster, names, node, plan, rdma

from realign_planner.nodes import NodeFacts


@st.composite
def any_node(draw: st.DrawFn) -> NodeFacts:
    speed = draw(st.none() | st.floats(0.01, 20))
    free_gb = draw(st.none() | st.floats(0.5, 600))
    return node(
        f"n{draw(st.integers(0, 99))}",
        draw(st.floats(1, 600)),
        *([] if speed is None else [(7.0, speed)]),
        free_bytes=None if free_gb is None else round(free_gb * GB),
        peak_batch_size=draw(st.none() | st.integers(1, 64)),
        gflops=draw(st.none() | st.floats(100, 20_000)),
        duty_fraction=draw(st.floats(0.05, 1.0)),
        chip=draw(st.sampled_from(["", "Apple M4 Max", "Apple M3 Ultra"])),
    )


NODES = st.lists(any_node(), min_size=1, max_size=5, unique_by=lambda built: built.name)
MODELS = st.sampled_from(
    ["Qwen 7B", "Llama 70B", "Qwen 72B", "Mixtral 8x7B", "Qwen3-235B-A22B", "235B", "405B", "pocket"]
)
LINKED = st.booleans()


@settings(max_examples=200, deadline=None)
@given(NODES, MODELS, st.sampled_from([None, 4, 8, 16]), LINKED)
def test_whatever_the_cluster_a_plan_keeps_its_promises(
    nodes: list[NodeFacts], model: str, bits: int | None, linked: bool
) -> None:
    links = tuple(rdma(one.name, other.name) for one in nodes for other in nodes if linked and one.name < other.name)
    facts = cluster(*nodes, links=links)
    found = plan("sft data", facts, model=model, bits=bits, count=10)
    by_name = {built.name: built for built in nodes}
    for planned in found.nodes:
        facts_of = by_name[planned.name]
        assert planned.bytes <= facts_of.available_bytes
        assert planned.batch_size >= 1
        assert facts_of.peak_batch_size is None or planned.batch_size <= facts_of.peak_batch_size
        assert 0 < planned.share <= 1
    assert not set(found.standby) & set(names(found))
    if found.fits:
        assert sum(planned.share for planned in found.nodes) == pytest.approx(1)
        assert found.predicted is not None
        assert found.predicted.makespan_s > 0
        assert (found.backend is not None) == (found.strategy == "sharded")
        assert (len(found.nodes) == 1) == (found.strategy == "single_machine")
    else:
        assert found.needs_bytes is not None
        assert found.nearest is not None
        assert all(found.needs_bytes > built.available_bytes for built in nodes)
    if found.strategy == "independent_batches":
        shares = [planned.share for planned in found.nodes]
        assert shares == sorted(shares, reverse=True)


@settings(max_examples=50, deadline=None)
@given(NODES, st.randoms(use_true_random=False))
def test_the_order_of_the_nodes_in_the_facts_changes_nothing(nodes: list[NodeFacts], chance: Any) -> None:
    shuffled = list(nodes)
    chance.shuffle(shuffled)
    first, second = plan("sft Llama 70B", cluster(*nodes)), plan("sft Llama 70B", cluster(*shuffled))
    assert (first.strategy, names(first), first.standby) == (second.strategy, names(second), second.standby)
