"""What is tried after a group was lost: the ladder, one rung after the other, and its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planner.builders import cluster, node, rdma

from realign_planner.choice import choose
from realign_planner.models import ModelFacts, describe
from realign_planner.nodes import ClusterFacts
from realign_planner.plan import Backend, PlannedGroup
from realign_planner.setbacks import LAST_RESORT_RESTS_S, RESTS_S, Bars, Setback, bars

FIRST_REST_S, LATER_REST_S = RESTS_S


def model(name: str = "Llama 70B") -> ModelFacts:
    found = describe(name, bits=16)
    assert isinstance(found, ModelFacts)
    return found


def linked(*names: str, usable_gb: float = 100) -> ClusterFacts:
    links = tuple(rdma(one, other) for one in names for other in names if one < other)
    return cluster(*(node(name, usable_gb, (70, 1.0)) for name in names), links=links)


def formed(facts: ClusterFacts, setbacks: list[Setback], now_s: float = 0.0) -> tuple[tuple[str, ...], str] | None:
    """The group that would hold the model now; a single node stands as a group of one without a backend."""
    placement = choose(model(), facts.nodes, facts, bars(setbacks, now_s)).placement
    return None if placement is None else (placement.names, placement.backend or "")


def lost(nodes: tuple[str, ...], backend: Backend, *failed: str, at_s: float = 0.0) -> Setback:
    return Setback(nodes=nodes, backend=backend, lost=failed, at_s=at_s)


def test_after_jaccl_the_same_nodes_try_the_ring_and_after_that_those_without_the_one_that_failed() -> None:
    facts = linked("a", "b", "c")
    over_jaccl = lost(("a", "b"), "jaccl", "b")
    over_ring = lost(("a", "b"), "ring", "b", at_s=5.0)
    assert formed(facts, []) == (("a", "b"), "jaccl")
    assert formed(facts, [over_jaccl]) == (("a", "b"), "ring")  # though a and c could use JACCL
    assert formed(facts, [over_jaccl, over_ring], 5.0) == (("a", "c"), "jaccl")


def test_a_node_that_holds_the_model_alone_goes_on_when_the_group_is_barred() -> None:
    pair = tuple(node(name, 100, (70, 2.0), peak_batch_size=32) for name in "ab")
    facts = cluster(node("big", 200, (70, 0.02)), *pair, links=(rdma("a", "b"),))
    assert formed(facts, []) == (("a", "b"), "jaccl")  # more than twice as fast
    assert formed(facts, [lost(("a", "b"), "jaccl"), lost(("a", "b"), "ring", "a")]) == (("big",), "")


def test_where_nothing_is_left_the_plan_names_the_bits_at_which_the_model_would_fit() -> None:
    facts = linked("a", "b")
    setbacks = [lost(("a", "b"), "jaccl"), lost(("a", "b"), "ring", "b")]
    found = choose(model(), facts.nodes, facts, bars(setbacks, 0.0))
    assert found.placement is None
    assert found.nearest is not None
    assert (found.nearest.kind, found.nearest.bits, found.nearest.nodes) == ("quantisation", 8, ("a", "b"))
    assert "a group of a, b was lost a short while ago" in " ".join(found.reasons)


@pytest.mark.parametrize(("times", "rest_s"), [(1, FIRST_REST_S), (2, LATER_REST_S), (5, LATER_REST_S)])
def test_what_failed_rests_longer_from_the_second_time_on(times: int, rest_s: float) -> None:
    setbacks = [lost(("a", "b"), "ring", "b", at_s=1000.0 * time) for time in range(times)]
    last_s = setbacks[-1].at_s
    assert not bars(setbacks, last_s + rest_s - 1).allows(("b", "c"), "ring")
    assert bars(setbacks, last_s + rest_s) == Bars()
    assert bars(setbacks, last_s).until_s == last_s + rest_s


def test_as_a_last_resort_only_that_rests_which_failed_again_before_it_gave_a_good_result() -> None:
    worked = replace(lost(("a", "b"), "ring", "b"), worked=True)
    futile = lost(("a", "b"), "ring", "b", at_s=5.0)
    assert bars([futile, futile, worked], 5.0, is_last_resort=True) == Bars()
    for times, rest_s in enumerate(LAST_RESORT_RESTS_S[1:], 1):
        assert bars([worked, *[futile] * times], 5.0, is_last_resort=True).until_s == 5.0 + rest_s
    assert not bars([worked], 0.0).allows(("a", "b"), "ring")  # others go first where there are any


def test_a_node_is_not_blamed_for_what_a_link_may_have_done() -> None:
    barred = bars([lost(("a", "b"), "jaccl", "b")], 0.0)
    assert not barred.allows(("b", "a"), "jaccl")
    assert barred.allows(("a", "b"), "ring")
    assert barred.allows(("b", "c"), "jaccl")


def test_what_comes_next_has_the_new_names_too() -> None:
    barred = bars([lost(("1", "2"), "jaccl")], 0.0).named({"1": "left", "2": "right"})
    assert barred.next == (frozenset({"left", "right"}), "ring")
    assert bars([lost(("1", "2"), "jaccl"), lost(("1", "2"), "ring")], 0.0).next is None
    assert bars([lost(("1", "2"), "jaccl")], FIRST_REST_S).next is None


def test_bars_speak_of_nodes_by_whatever_name_they_have_now() -> None:
    barred = bars([lost(("1", "2"), "ring", "2")], 0.0).named({"1": "left", "2": "right"})
    assert not barred.allows(("right", "new"), "ring")
    assert barred.allows(("left", "new"), "ring")
    assert (
        not bars([lost(("1", "2"), "ring")], 0.0).named({"1": "left", "2": "right"}).allows(("left", "right"), "ring")
    )


@st.composite
def any_cluster(draw: st.DrawFn) -> ClusterFacts:
    names = [f"n{number}" for number in range(draw(st.integers(2, 5)))]
    sizes = [draw(st.sampled_from([60.0, 80.0, 100.0, 160.0])) for _ in names]
    links = tuple(rdma(one, other) for one in names for other in names if one < other and draw(st.booleans()))
    return cluster(*(node(name, size, (70, 1.0)) for name, size in zip(names, sizes, strict=True)), links=links)


@settings(max_examples=60, deadline=None)
@given(any_cluster(), st.sampled_from(["Llama 70B", "Qwen 72B"]), st.data())
def test_whatever_fails_no_group_is_tried_again_within_its_rest_and_trying_ends(
    facts: ClusterFacts, name: str, data: st.DataObject
) -> None:
    wanted = model(name)
    setbacks: list[Setback] = []
    tried: set[tuple[frozenset[str], Backend]] = set()
    now_s = 0.0
    for _ in range(2 * 2**5 + 1):  # every set of five nodes over either backend, and one more
        placement = choose(wanted, facts.nodes, facts, bars(setbacks, now_s)).placement
        group: PlannedGroup | None = placement.group if placement else None
        if placement is None or group is None:
            break
        formation = (frozenset(placement.names), group.backend)
        assert formation not in tried
        tried.add(formation)
        held = placement.nodes[0].bytes / placement.nodes[0].share
        assert held >= wanted.weight_bytes * 0.999  # all of it, at its own bits
        failed = data.draw(st.lists(st.sampled_from(placement.names), max_size=2, unique=True))
        setbacks.append(Setback(nodes=placement.names, backend=group.backend, lost=tuple(failed), at_s=now_s))
        now_s += data.draw(st.floats(0, FIRST_REST_S / (2 * 2**5 + 1)))
    else:
        raise AssertionError("it never ends")
