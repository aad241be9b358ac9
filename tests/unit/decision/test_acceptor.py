"""What a voter promises, votes and refuses."""

from __future__ import annotations

import pytest

from realign_daemon.decision.acceptor import Acceptor, accept, claim, learn, prepare
from realign_daemon.decision.ballot import NEVER, TAGS, Ballot, Vote, next_config_epoch
from realign_daemon.decision.errors import Diverged
from realign_daemon.decision.messages import Accepted, Decision, Known, Promised, Refused

LOW = Ballot(epoch=1, node="a")
MIDDLE = Ballot(epoch=1, node="b")
HIGH = Ballot(epoch=2, node="a")
ADOPTED = Ballot(config_epoch=TAGS, epoch=1, node="a")
DECISION = Decision(config_epoch=0, value=b"end")
ADOPTION = Decision(config_epoch=TAGS, value=b"move")


def test_ballots_are_ordered_by_config_epoch_then_epoch_then_node() -> None:
    assert sorted([ADOPTED, HIGH, MIDDLE, LOW, NEVER]) == [NEVER, LOW, MIDDLE, HIGH, ADOPTED]


def test_a_promise_says_what_was_voted_before() -> None:
    state, reply = prepare(Acceptor(), LOW)
    assert (state, reply) == (Acceptor(promised=LOW), Promised(ballot=LOW, vote=None))
    state, reply = accept(state, LOW, b"x")
    vote = Vote(ballot=LOW, value=b"x")
    assert (state, reply) == (Acceptor(promised=LOW, vote=vote), Accepted(ballot=LOW))
    assert prepare(state, HIGH) == (Acceptor(promised=HIGH, vote=vote), Promised(ballot=HIGH, vote=vote))


def test_nothing_is_promised_or_voted_below_a_promise() -> None:
    state, _ = prepare(Acceptor(), MIDDLE)
    assert prepare(state, LOW) == (state, Refused(highest=MIDDLE))
    assert accept(state, LOW, b"x") == (state, Refused(highest=MIDDLE))


def test_a_vote_above_the_promise_is_a_promise_too() -> None:
    state, _ = accept(Acceptor(), HIGH, b"x")
    assert state.promised == HIGH


def test_a_repeated_request_gets_its_answer_again() -> None:
    state, reply = prepare(Acceptor(), LOW)
    assert prepare(state, LOW) == (state, reply)
    state, reply = accept(state, LOW, b"x")
    assert accept(state, LOW, b"x") == (state, reply)


def test_what_is_decided_is_the_answer_to_everything() -> None:
    state = learn(Acceptor(), DECISION)
    for answered in (prepare(state, HIGH), accept(state, HIGH, b"x"), claim(state, "a", 0, NEVER)):
        assert answered == (state, Known(decision=DECISION))


def test_a_claimed_ballot_is_above_everything_promised_or_heard_of() -> None:
    state, first = claim(Acceptor(), "b", 0, NEVER)
    assert (state.promised, first) == (MIDDLE, Promised(ballot=MIDDLE, vote=None))
    _, second = claim(state, "b", 0, Ballot(epoch=7, node="c"))
    assert second == Promised(ballot=Ballot(epoch=8, node="b"), vote=None)


def test_a_node_does_not_vote_in_a_config_epoch_of_which_it_has_not_heard() -> None:
    assert prepare(Acceptor(), ADOPTED) == (Acceptor(), Refused(highest=NEVER))
    assert accept(Acceptor(), ADOPTED, b"x") == (Acceptor(), Refused(highest=NEVER))
    assert claim(Acceptor(), "a", TAGS, NEVER) == (Acceptor(), Refused(highest=NEVER))


def test_a_vote_of_before_an_adoption_does_not_bind_after_it() -> None:
    state, _ = accept(Acceptor(config_epochs=frozenset({0, TAGS})), LOW, b"x")
    state, reply = prepare(state, ADOPTED)
    assert reply == Promised(ballot=ADOPTED, vote=None)
    assert accept(state, HIGH, b"x") == (state, Refused(highest=ADOPTED))


def test_who_has_not_heard_of_an_adoption_claims_nothing_against_it() -> None:
    assert claim(Acceptor(), "a", 0, ADOPTED) == (Acceptor(), Refused(highest=ADOPTED))


def test_the_decision_of_the_higher_config_epoch_stands() -> None:
    state = learn(learn(Acceptor(), DECISION), ADOPTION)
    assert state.decision == ADOPTION
    assert learn(state, DECISION) is state
    assert learn(state, ADOPTION) is state


def test_a_second_value_in_one_config_epoch_is_an_error_that_shows_both() -> None:
    with pytest.raises(Diverged, match="decided twice, here as end and elsewhere as other"):
        learn(learn(Acceptor(), DECISION), Decision(config_epoch=0, value=b"other"))


def test_two_nodes_that_adopt_from_the_same_knowledge_do_so_in_two_config_epochs() -> None:
    first, second = next_config_epoch(0, "studio"), next_config_epoch(0, "laptop")
    assert first != second
    assert next_config_epoch(first, "laptop") > max(first, second)
