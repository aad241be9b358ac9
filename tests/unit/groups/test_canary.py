"""What a canary tells apart, and for how long results wait for one."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import Filled, Generated, ModelId, Scored
from realign_daemon.engine.errors import GroupDied
from realign_daemon.groups import canary
from realign_daemon.groups.confirmations import EVERY_RESULTS, EVERY_S, FIRST_S, IDLE_S, Confirmations
from realign_daemon.groups.messages import Logprobs

rows = st.lists(st.floats(-40.0, 0.0), min_size=3, max_size=6).map(tuple)
findings = st.lists(rows, min_size=1, max_size=4).map(tuple)
PLENTY = 50_000
_PIECES = re.compile(r"\d| (?=\d)|[a-zA-Z]+|[:;?]|\.\n")  # as vocabularies have them that split numbers most finely


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


@given(st.lists(st.integers(0, 40_000), max_size=5))
def test_a_canary_is_as_long_as_the_longest_work_since_the_last_or_as_long_as_there_is_one(tokens: list[int]) -> None:
    scale = canary.Scale(PLENTY)
    scale.worked(40_000)
    scale.begin()
    for one in tokens:
        scale.worked(one)
    lasts = [canary.songs(ModelId("m"), length)[-1].messages[0].content for length in range(canary.LONGEST + 1)]
    assert lasts == sorted(lasts, key=len)
    longest = max(tokens, default=0)
    length = scale.begin()
    assert _tokens(lasts[length]) >= longest or length == canary.LONGEST
    assert length == 0 or _tokens(lasts[length - 1]) < longest
    assert length < 2 or _tokens(lasts[length]) < 2.1 * longest
    assert scale.begin() == 0


def test_a_canary_is_no_longer_than_what_the_model_reads() -> None:
    scale = canary.Scale(PLENTY)
    scale.worked(40_000)
    assert scale.begin() == canary.LONGEST
    scale.read_at_most(1)
    scale.worked(40_000)
    assert scale.begin() == 1


@given(st.integers(0, PLENTY))
def test_a_canary_takes_no_more_cache_than_the_group_has_room_for_unless_it_is_the_shortest(room: int) -> None:
    scale = canary.Scale(room)
    scale.worked(PLENTY)
    length = scale.begin()
    last = canary.songs(ModelId("m"), length)[-1].messages[0].content
    assert length == 0 or len(_PIECES.findall(last)) < canary.most_tokens(length) <= room
    assert length == canary.LONGEST or canary.most_tokens(length + 1) > room


def test_each_length_has_a_measure_of_its_own_and_a_node_alone_gives_those_that_it_sang() -> None:
    findings = 2 * len(canary.songs(ModelId("m"), 0)) - 1  # all but one are scored, and all are written
    shortest, next_one = (((figure,),) * findings for figure in (-1.0, -2.0))
    scale = canary.Scale(PLENTY, (*shortest, *next_one))
    assert [scale.expected(length) for length in range(3)] == [shortest, next_one, ()]
    scale.learn(2, shortest)
    assert scale.expected(2) == shortest
    assert canary.Scale(PLENTY).expected(0) == ()


def test_the_context_of_a_task_is_told_by_its_result_or_estimated_by_what_was_asked() -> None:
    generated = Generated(text="", finish_reason="stop", prompt_tokens=5, completion_tokens=700, logprob=-1.0)
    assert canary.context_tokens(b"?", generated) == 705  # its reasoning, which is not told, was context, too
    assert canary.context_tokens(b"?", Filled(probabilities=(), mass=(), prompt_tokens=90)) == 90
    assert canary.context_tokens(b"?" * 3000, Scored(logprob=-1.0, tokens=2)) == 1000


def _tokens(text: str) -> int:
    """At least so many, of which numbers and words are one each, but for the question at the end."""
    return len(re.findall(r"\w+|[:;]|\.\n", text.rpartition("\n")[0] + "\n"))


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
