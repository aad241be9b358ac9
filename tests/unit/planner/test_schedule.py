"""The schedule's decisions on one snapshot, and what they promise about any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_planner.schedule import Assign, Decision, NodeLoad, Revoke, Snapshot, Wait, decide


def load(
    node_id: str, speed: float = 1.0, *, slots: int = 4, held: int = 0, unstarted: int = 0, accepting: bool = True
) -> NodeLoad:
    return NodeLoad(
        node_id=node_id, examples_per_s=speed, slots=slots, in_flight=held, unstarted=unstarted, accepting=accepting
    )


def decided(pending: int, *nodes: NodeLoad) -> tuple[Decision, ...]:
    return decide(Snapshot(pending=pending, nodes=nodes))


def test_plenty_of_work_fills_every_slot_and_a_prefetch_of_a_quarter() -> None:
    assert decided(1000, load("a", 3.0, slots=32), load("b", 1.0)) == (
        Assign(node_id="a", count=40),
        Assign(node_id="b", count=5),
    )


def test_work_for_less_than_all_slots_is_shared_in_ratio_to_speed() -> None:
    assert decided(60, load("a", 2.0, slots=32), load("b", 1.0, slots=32)) == (
        Assign(node_id="a", count=32),
        Assign(node_id="b", count=20),
    )


def test_a_batch_that_a_fast_node_ends_before_a_slow_one_is_left_to_it() -> None:
    assert decided(8, load("a", 3.0, slots=32), load("b", 1.0, slots=32)) == (Assign(node_id="a", count=6),)


def test_a_node_that_would_end_one_unit_after_all_is_done_gets_none() -> None:
    assert decided(3, load("fast", 10.0), load("slow", 0.1)) == (Assign(node_id="fast", count=3),)


def test_a_node_that_holds_its_share_waits() -> None:
    assert decided(100, load("a", held=5)) == (
        Wait(reason="100 units are pending and every node that would end them soonest is full"),
    )


def test_unstarted_units_above_a_fair_share_move_to_an_idle_node() -> None:
    assert decided(0, load("a", held=10, unstarted=6), load("b")) == (Revoke(node_id="a", count=5),)


def test_nothing_moves_when_it_would_not_end_sooner() -> None:
    found = decided(0, load("a", 1.0, slots=1, held=2, unstarted=1), load("b", 0.1, slots=1))
    assert found == (Wait(reason="nothing is pending and 2 units are in flight"),)


def test_a_node_that_stops_accepting_gives_back_what_it_has_not_started() -> None:
    found = decided(0, load("a", held=5, unstarted=3, accepting=False), load("b", held=4))
    assert found == (Revoke(node_id="a", count=3),)


def test_a_lone_node_that_stops_accepting_keeps_its_units() -> None:
    assert decided(0, load("a", held=5, unstarted=3, accepting=False)) == (
        Wait(reason="no connected node accepts work"),
    )


def test_waiting_says_why_when_there_is_no_node() -> None:
    assert decided(5) == (Wait(reason="no node is connected"),)
    assert decided(5, load("a", accepting=False)) == (Wait(reason="no connected node accepts work"),)


def test_a_node_of_unknown_speed_is_taken_to_be_the_slowest_and_gets_work() -> None:
    assert decided(100, load("known", 2.0), load("new", 0.0)) == (
        Assign(node_id="known", count=5),
        Assign(node_id="new", count=5),
    )


@st.composite
def any_load(draw: st.DrawFn) -> NodeLoad:
    unstarted = draw(st.integers(0, 8))
    return NodeLoad(
        node_id=f"n{draw(st.integers(0, 9))}",
        examples_per_s=draw(st.floats(0, 50)),
        slots=draw(st.integers(0, 32)),
        in_flight=unstarted + draw(st.integers(0, 32)),
        unstarted=unstarted,
        accepting=draw(st.booleans()),
    )


LOADS = st.lists(any_load(), max_size=5, unique_by=lambda node: node.node_id)


@given(st.integers(0, 500), LOADS)
def test_units_are_given_once_and_only_where_they_are_taken(pending: int, nodes: list[NodeLoad]) -> None:
    decisions = decided(pending, *nodes)
    assert decisions
    by_id = {node.node_id: node for node in nodes}
    named = [decision.node_id for decision in decisions if not isinstance(decision, Wait)]
    assert len(named) == len(set(named))
    assigned = [decision for decision in decisions if isinstance(decision, Assign)]
    assert sum(decision.count for decision in assigned) <= pending
    assert all(by_id[decision.node_id].accepting and decision.count > 0 for decision in assigned)
    for decision in decisions:
        if isinstance(decision, Revoke):
            assert 0 < decision.count <= by_id[decision.node_id].unstarted
    assert not any(isinstance(decision, Wait) for decision in decisions) or len(decisions) == 1


@given(st.integers(1, 300), LOADS)
def test_giving_and_finishing_ends_every_job_that_a_node_accepts(pending: int, nodes: list[NodeLoad]) -> None:
    held = {node.node_id: node.in_flight for node in nodes if node.accepting and node.slots > 0}
    facts = {node.node_id: node for node in nodes}
    if not held:
        return
    for _ in range(3 * (pending + sum(held.values())) + 10):
        if not pending and not any(held.values()):
            return
        loads = [
            load(
                name,
                facts[name].examples_per_s,
                slots=facts[name].slots,
                held=count,
                unstarted=max(0, count - facts[name].slots),
            )
            for name, count in held.items()
        ]
        for decision in decided(pending, *loads):
            if isinstance(decision, Assign):
                held[decision.node_id] += decision.count
                pending -= decision.count
            elif isinstance(decision, Revoke):
                held[decision.node_id] -= decision.count
                pending += decision.count
        busiest = max(held, key=lambda name: held[name])
        held[busiest] = max(0, held[busiest] - 1)
    raise AssertionError("units are left")


@given(LOADS)
def test_what_was_revoked_does_not_go_back_to_the_same_node(nodes: list[NodeLoad]) -> None:
    for decision in decided(0, *nodes):
        if isinstance(decision, Revoke):
            after = [
                load(
                    node.node_id,
                    node.examples_per_s,
                    slots=node.slots,
                    held=node.in_flight - (decision.count if node.node_id == decision.node_id else 0),
                    unstarted=node.unstarted - (decision.count if node.node_id == decision.node_id else 0),
                    accepting=node.accepting,
                )
                for node in nodes
            ]
            again = decided(decision.count, *after)
            assert decision.node_id not in {move.node_id for move in again if isinstance(move, Assign)}
