"""Turns: tasks of one adapter run together, and nobody waits for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.child.turns import Turn, Waiting, admitted, open_turn


def queue(*adapters: str) -> list[Waiting]:
    """Tasks that arrived in this order; "!" runs alone."""
    return [
        Waiting(arrival=place, task_id=place, adapter=adapter.strip("!"), exclusive=adapter == "!")
        for place, adapter in enumerate(adapters, start=1)
    ]


def ids(tasks: tuple[Waiting, ...]) -> list[int]:
    return [task.task_id for task in tasks]


def test_a_turn_gathers_all_waiting_tasks_of_its_adapter() -> None:
    waiting = queue("a", "b", "a", "b", "a")
    assert ids(admitted(waiting, open_turn(waiting))) == [1, 3, 5]


def test_a_later_arrival_joins_while_nobody_else_waits() -> None:
    turn = Turn(adapter="a", opened_at=0)
    assert ids(admitted(queue("a", "a"), turn)) == [1, 2]


def test_a_later_arrival_does_not_overtake_somebody_of_another_adapter() -> None:
    turn = Turn(adapter="a", opened_at=0)
    assert ids(admitted(queue("a", "b", "a"), turn)) == [1]


def test_training_ends_the_turn_though_its_adapter_is_the_same() -> None:
    turn = Turn(adapter="", opened_at=0)
    assert ids(admitted(queue("", "!", ""), turn)) == [1]


@given(st.lists(st.sampled_from(["a", "b", "!"]), min_size=1, max_size=30))
def test_every_task_is_served_and_no_turn_is_empty(adapters: list[str]) -> None:
    waiting = queue(*adapters)
    served: list[int] = []
    while waiting:
        oldest = waiting[0]
        joining = (oldest,) if oldest.exclusive else admitted(waiting, open_turn(waiting))
        assert oldest in joining
        served += ids(joining)
        waiting = [task for task in waiting if task not in joining]
    assert sorted(served) == list(range(1, len(adapters) + 1))
