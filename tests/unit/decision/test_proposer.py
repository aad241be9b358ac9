"""One proposer, event by event."""

from __future__ import annotations

from realign_daemon.decision.ballot import NEVER, Ballot, Vote
from realign_daemon.decision.messages import Accept, Accepted, Decision, Known, Prepare, Promised, Refused, Reply
from realign_daemon.decision.proposer import (
    Answered,
    Ask,
    Claim,
    Claimed,
    Concluded,
    Effect,
    Event,
    Proposal,
    Rest,
    Rested,
    State,
    Unanswered,
    start,
    step,
)
from realign_daemon.decision.quorum import Electorate

MINE = Ballot(epoch=1, node="a")
HIGHER = Ballot(epoch=4, node="c")
PREPARE = Prepare(job_id="j", instance=0, ballot=MINE)
ACCEPT = Accept(job_id="j", instance=0, ballot=MINE, value=b"mine")
PROMISE = Promised(ballot=MINE, vote=None)


def proposal(voters: str = "abc", *, node: str = "a", home: str = "a") -> Proposal:
    electorate = Electorate(home=home, voters=tuple(voters))
    return Proposal(node=node, job_id="j", instance=0, config_epoch=0, electorate=electorate, value=b"mine")


def after(proposed: Proposal, *events: Event) -> tuple[State, tuple[Effect, ...]]:
    state, effects = start()
    for event in events:
        state, effects = step(proposed, state, event)
    return state, effects


def said(node: str, reply: Reply) -> Answered:
    return Answered(node=node, reply=reply)


def asked(voters: str, request: Prepare | Accept) -> tuple[Ask, ...]:
    return tuple(Ask(node=voter, request=request) for voter in voters)


def test_nobody_is_asked_before_the_own_acceptor_has_claimed_the_ballot() -> None:
    assert after(proposal())[1] == (Claim(above=NEVER),)
    assert after(proposal(), Claimed(reply=PROMISE))[1] == asked("bc", PREPARE)


def test_a_majority_of_promises_is_asked_for_its_votes_and_those_decide() -> None:
    events = (Claimed(reply=PROMISE), said("b", PROMISE))
    assert after(proposal(), *events)[1] == asked("abc", ACCEPT)
    events = (*events, said("a", Accepted(ballot=MINE)), said("c", Accepted(ballot=MINE)))
    assert after(proposal(), *events)[0] == Concluded(decision=Decision(config_epoch=0, value=b"mine"))


def test_the_home_of_two_needs_nobody_else() -> None:
    events = (Claimed(reply=PROMISE), said("a", Accepted(ballot=MINE)))
    assert after(proposal("ab"), *events)[0] == Concluded(decision=Decision(config_epoch=0, value=b"mine"))


def test_a_node_without_a_vote_may_propose_and_does_not_count() -> None:
    guest = proposal("bc", home="b")
    state, effects = after(guest, Claimed(reply=PROMISE))
    assert effects == asked("bc", PREPARE)
    assert step(guest, state, said("c", PROMISE))[1] == ()
    assert step(guest, state, said("b", PROMISE))[1] == asked("bc", ACCEPT)


def test_the_value_of_the_highest_vote_is_adopted() -> None:
    votes = [Vote(ballot=Ballot(epoch=epoch, node="x"), value=b"from %d" % epoch) for epoch in (3, 7, 5)]
    mine = Ballot(epoch=9, node="a")
    own, *others = (Promised(ballot=mine, vote=vote) for vote in votes)
    _, effects = after(proposal("abcde"), Claimed(reply=own), said("b", others[0]), said("c", others[1]))
    assert effects == asked("abcde", Accept(job_id="j", instance=0, ballot=mine, value=b"from 7"))


def test_what_any_reply_says_is_decided_ends_the_asking() -> None:
    decision = Decision(config_epoch=0, value=b"theirs")
    known = Known(decision=decision)
    for events in (
        (Claimed(reply=known),),
        (Claimed(reply=PROMISE), said("c", known)),
        (Claimed(reply=PROMISE), said("b", PROMISE), said("c", known)),
        (Claimed(reply=Refused(highest=HIGHER)), said("c", known)),
    ):
        assert after(proposal(), *events) == (Concluded(decision=decision), ())


def test_it_rests_once_no_majority_can_come_and_then_asks_for_a_ballot_above_what_refused_it() -> None:
    events = (Claimed(reply=PROMISE), said("b", Refused(highest=HIGHER)))
    assert after(proposal(), *events)[1] == ()
    events = (*events, Unanswered(node="c", request=PREPARE))
    assert after(proposal(), *events)[1] == (Rest(attempts=1),)
    assert after(proposal(), *events, Rested())[1] == (Claim(above=HIGHER),)


def test_it_rests_longer_each_time() -> None:
    refused = Claimed(reply=Refused(highest=HIGHER))
    assert after(proposal(), refused, Rested(), refused)[1] == (Rest(attempts=2),)


def test_votes_that_do_not_come_send_it_to_rest_too() -> None:
    events = (Claimed(reply=PROMISE), said("b", PROMISE))
    lost = tuple(Unanswered(node=node, request=ACCEPT) for node in "bc")
    assert after(proposal(), *events, *lost)[1] == (Rest(attempts=1),)


def test_what_belongs_to_an_earlier_question_changes_nothing() -> None:
    events = (Claimed(reply=PROMISE), said("b", PROMISE))
    state, _ = after(proposal(), *events)
    old = Ballot(epoch=0, node="a")
    for late in (
        said("c", PROMISE),
        said("c", Accepted(ballot=old)),
        Unanswered(node="b", request=PREPARE),
        Unanswered(node="c", request=PREPARE),
        Rested(),
        Claimed(reply=PROMISE),
    ):
        assert step(proposal(), state, late) == (state, ())


def test_an_answer_that_came_counts_though_another_copy_of_the_question_failed() -> None:
    state, _ = after(proposal("abcde"), Claimed(reply=PROMISE), said("b", PROMISE))
    for node in "bbb":
        state, effects = step(proposal("abcde"), state, Unanswered(node=node, request=PREPARE))
        assert effects == ()
    assert step(proposal("abcde"), state, said("c", PROMISE))[1] == asked("abcde", ACCEPT)


def test_once_concluded_nothing_more_happens() -> None:
    state = Concluded(decision=Decision(config_epoch=0, value=b"x"))
    assert step(proposal(), state, said("b", Known(decision=Decision(config_epoch=9, value=b"y")))) == (state, ())
