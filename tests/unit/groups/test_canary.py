"""What a canary tells apart, and for how long results wait for one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import ModelId
from realign_daemon.engine.errors import GroupDied
from realign_daemon.groups import canary
from realign_daemon.groups.confirmations import EVERY_RESULTS, EVERY_S, FIRST_S, IDLE_S, Confirmations
from realign_daemon.groups.messages import Logprobs

rows = st.lists(st.floats(-40.0, 0.0), min_size=3, max_size=6).map(tuple)
findings = st.lists(rows, min_size=1, max_size=4).map(tuple)


def moved(found: Logprobs, by: float) -> Logprobs:
    return tuple(tuple(figure + by for figure in row) for row in found)


@given(findings, st.floats(-0.09, 0.09))
def test_rounding_is_no_difference(found: Logprobs, by: float) -> None:
    assert canary.difference(moved(found, by), found) == ""


@given(findings, st.floats(0.2, 30.0))
def test_whole_steps_are(found: Logprobs, by: float) -> None:
    assert "differ" in canary.difference(moved(found, by), found)


def test_no_number_and_other_tokens_are_differences() -> None:
    assert canary.difference(((-1.0, math.nan),), ((-1.0, -1.0),))
    assert canary.difference(((-1.0, -math.inf),), ((-1.0, -1.0),))
    assert canary.difference(((-1.0,),), ((-1.0, -1.0),)) == "it found other tokens"


@given(findings, st.integers(3, 6), st.data())
def test_one_that_differs_from_a_majority_is_named_alone(found: Logprobs, count: int, data: st.DataObject) -> None:
    odd = data.draw(st.integers(0, count - 1))
    assert canary.outliers([moved(found, 5.0) if place == odd else found for place in range(count)]) == (odd,)


@given(findings)
def test_of_two_that_differ_both_are_named(found: Logprobs) -> None:
    assert canary.outliers([found, moved(found, 5.0)]) == (0, 1)
    assert canary.outliers([found, found]) == ()


def test_the_long_song_is_longer_than_the_contexts_that_went_wrong() -> None:
    song = canary.songs(ModelId("m"), with_long=True)[-1]
    assert len(song.messages[0].content) > 4 * 4_000  # some four characters a token


async def test_results_wait_for_a_canary_that_is_due_by_count_by_age_or_when_there_is_time() -> None:
    held = Confirmations(now_s=0.0)
    assert not held.is_due(now_s=100.0, idle_s=100.0)  # nothing waits
    held.add(now_s=0.0)
    assert held.is_due(now_s=1.0, idle_s=IDLE_S)
    assert not held.is_due(now_s=1.0, idle_s=None)
    assert held.is_due(now_s=FIRST_S, idle_s=None)
    held.begin(now_s=FIRST_S)
    held.good(now_s=FIRST_S)
    held.add(now_s=FIRST_S)
    assert not held.is_due(now_s=EVERY_S, idle_s=None)
    assert held.is_due(now_s=EVERY_S + FIRST_S, idle_s=None)
    for _ in range(EVERY_RESULTS):
        held.add(now_s=EVERY_S)
    assert held.is_due(now_s=EVERY_S, idle_s=None)


async def test_canaries_take_a_tenth_of_the_time_at_most() -> None:
    held = Confirmations(now_s=0.0)
    held.add(now_s=0.0)
    held.begin(now_s=10.0)
    held.good(now_s=14.0)  # what ran had to end before it
    held.add(now_s=14.0)
    assert not held.is_due(now_s=14.0 + 35.0, idle_s=None)
    assert held.is_due(now_s=14.0 + 37.0, idle_s=None)
    assert held.is_due(now_s=15.0, idle_s=1.0)  # nothing is kept from its work


async def test_a_good_canary_speaks_for_what_came_before_it_and_a_bad_one_against_all() -> None:
    held = Confirmations(now_s=0.0)
    before = held.add(now_s=0.0)
    held.begin(now_s=1.0)
    after = held.add(now_s=1.5)
    held.good(now_s=2.0)
    assert before.done()
    assert not after.done()
    assert held.held == 1
    held.bad(GroupDied(model="m", group="g", lost=(), cause="canary: it found other tokens"))
    with pytest.raises(GroupDied):
        await after
    assert held.held == 0
