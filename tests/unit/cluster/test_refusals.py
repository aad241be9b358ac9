"""Whom a node will not work with."""

from __future__ import annotations

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.refusals import CALLERS, REASON_CHARACTERS, Refusals, Refused

HERE, THERE = Address(host="10.0.0.1", port=1), Address(host="10.0.0.2", port=2)
OLD = NodeId("old")


def refusals() -> Refusals:
    return Refusals(callers_kept_s=10.0)


def test_one_that_is_dialled_is_named_until_it_is_dialled_no_more() -> None:
    seen = refusals()
    seen.note(HERE, "too old")

    assert seen.current(1e9) == (Refused(address=HERE, reason="too old"),)
    assert seen.dialled == {HERE: "too old"}

    seen.forget(HERE)
    assert seen.current(0.0) == ()


def test_one_that_calls_is_named_until_it_is_silent_for_long_enough() -> None:
    seen = refusals()
    seen.note_caller(OLD, (THERE, HERE), "too old", now_s=0.0)
    seen.note_caller(OLD, (THERE, HERE), "too old", now_s=5.0)

    assert seen.current(14.9) == (Refused(address=THERE, reason="too old"),)
    assert seen.current(15.0) == ()


def test_one_that_calls_is_forgotten_once_it_is_welcome() -> None:
    seen = refusals()
    seen.note_caller(OLD, (THERE,), "too old", now_s=0.0)
    seen.forget_caller(OLD)

    assert seen.current(0.0) == ()


def test_one_that_calls_and_is_dialled_is_named_once() -> None:
    seen = refusals()
    seen.note(HERE, "as it says itself")
    seen.note_caller(OLD, (HERE,), "as we say", now_s=0.0)

    assert seen.current(0.0) == (Refused(address=HERE, reason="as it says itself"),)


def test_strangers_fill_neither_the_list_nor_a_line() -> None:
    seen = refusals()
    for index in range(2 * CALLERS):
        seen.note_caller(NodeId(f"stranger-{index}"), (), "x" * 10 * REASON_CHARACTERS, now_s=0.0)

    assert [one.address for one in seen.current(0.0)] == [None] * CALLERS
    assert {len(one.reason) for one in seen.current(0.0)} == {REASON_CHARACTERS}
