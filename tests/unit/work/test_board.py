"""The board's promises: every unit ends once, whatever nodes do."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from realign_daemon.engine.api import Generate, Message, ModelId, Sampler
from realign_daemon.work.board import ATTEMPTS, Board
from realign_daemon.work.units import Unit, UnitKey, make_unit

NODES = ("left", "right")


def unit(number: int) -> Unit:
    return make_unit(
        Generate(
            model=ModelId("m"),
            messages=(Message(role="user", content=f"question {number}"),),
            sampler=Sampler(max_tokens=4),
            seed=number,
            template="t@1",
        )
    )


def test_a_unit_that_failed_on_a_node_goes_to_the_other() -> None:
    board = Board()
    board.add([unit(1)])
    (taken,) = board.take("left", 1, others=frozenset({"right"}))
    assert board.fail(taken.key, node="left", message="died", is_hopeless=False) is False
    assert board.take("left", 1, others=frozenset({"right"})) == ()
    assert board.take("right", 1, others=frozenset({"left"})) == (taken,)


def test_a_unit_that_failed_on_the_only_node_is_tried_there_again() -> None:
    board = Board()
    board.add([unit(1)])
    (taken,) = board.take("left", 1, others=frozenset())
    board.fail(taken.key, node="left", message="died", is_hopeless=False)
    assert board.take("left", 1, others=frozenset()) == (taken,)


def test_a_unit_is_given_up_after_three_failures() -> None:
    board = Board()
    board.add([unit(1)])
    outcomes: list[bool] = []
    for _ in range(ATTEMPTS):
        (taken,) = board.take("left", 1, others=frozenset())
        outcomes.append(board.fail(taken.key, node="left", message="died", is_hopeless=False))
    assert outcomes == [False, False, True]
    assert board.is_complete
    assert board.quarantined == {unit(1).key: "died"}


def test_failures_before_the_order_count() -> None:
    board = Board()
    board.add([unit(1)], failures={unit(1).key: ["left", "right"]})
    (taken,) = board.take("left", 1, others=frozenset())
    assert board.fail(taken.key, node="left", message="died", is_hopeless=False) is True


def test_a_node_that_gives_twice_the_results_counts_twice_as_fast() -> None:
    board = Board()
    board.add([unit(number) for number in range(60)])
    for node, busy_s in (("left", 0.1), ("right", 0.2)):
        board.expect(node, 7.0)
        for taken in board.take(node, 30, others=frozenset()):
            board.finish(taken.key, node=node, busy_s=busy_s)
    assert 1.6 < board.speed("left") / board.speed("right") < 2.0


def test_a_result_of_another_order_changes_nothing() -> None:
    board = Board()
    board.add([unit(1)])
    assert board.finish(unit(2).key, node="left", busy_s=0.1) is False
    assert not board.is_complete


class Life(RuleBasedStateMachine):
    """Nodes take, finish, fail, give back and vanish in any order."""

    flying: Bundle[tuple[str, UnitKey]] = Bundle("flying")

    @initialize()
    def put_up(self) -> None:
        self.board = Board()
        self.board.add([unit(number) for number in range(8)])

    @rule(target=flying, node=st.sampled_from(NODES), count=st.integers(0, 4))
    def take(self, node: str, count: int) -> MultipleResults[tuple[str, UnitKey]]:
        others = frozenset(NODES) - {node}
        return multiple(*((node, taken.key) for taken in self.board.take(node, count, others=others)))

    @rule(flight=consumes(flying))
    def finish(self, flight: tuple[str, UnitKey]) -> None:
        self.board.finish(flight[1], node=flight[0], busy_s=0.1)
        assert flight[1] in self.board.done

    @rule(flight=consumes(flying), hopeless=st.booleans())
    def fail(self, flight: tuple[str, UnitKey], hopeless: bool) -> None:
        if flight[1] in self.board.in_flight.get(flight[0], {}):
            self.board.fail(flight[1], node=flight[0], message="died", is_hopeless=hopeless)

    @rule(flight=flying)
    def give_back(self, flight: tuple[str, UnitKey]) -> None:
        self.board.put_back(flight[0], [flight[1]])

    @rule(node=st.sampled_from(NODES))
    def vanish(self, node: str) -> None:
        self.board.put_back(node)

    @invariant()
    def every_unit_is_in_exactly_one_place(self) -> None:
        places = [
            *self.board.waiting,
            *(key for flights in self.board.in_flight.values() for key in flights),
            *self.board.done,
            *self.board.quarantined,
        ]
        assert sorted(places) == sorted(self.board.units)


TestLife = Life.TestCase
