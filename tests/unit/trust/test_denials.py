"""Denials: a script that calls in vain all night leaves a few lines, not a full disk."""

from __future__ import annotations

from dataclasses import replace

from realign_daemon.trust.audit import Deed
from realign_daemon.trust.denials import MAX_KEPT, WINDOW_S, Denials

DEED = Deed(actor="ann", role="read", method="/realign.v1.Curation/CancelJob", object="dpo-1", outcome="no")


def test_the_first_is_told_and_the_rest_of_its_minute_is_counted() -> None:
    denials = Denials()

    assert denials.note(DEED, now_s=0.0) == DEED
    assert [denials.note(replace(DEED, object=f"dpo-{n}"), now_s=1.0) for n in range(3)] == [None] * 3
    later = denials.note(DEED, now_s=WINDOW_S)
    assert later == replace(DEED, outcome="no (and 3 times since the last line)")


def test_other_callers_and_other_methods_are_told_apart_but_not_made_up_ones() -> None:
    denials = Denials()
    denials.note(DEED, now_s=0.0)

    assert denials.note(replace(DEED, actor="bob"), now_s=0.0) is not None
    assert denials.note(replace(DEED, method="/realign.v1.Trust/Invite"), now_s=0.0) is not None
    assert denials.note(replace(DEED, method="/made/Up"), now_s=0.0) is not None
    assert denials.note(replace(DEED, method="/made/UpToo"), now_s=0.0) is None


def test_what_is_remembered_is_bounded() -> None:
    denials = Denials()
    for number in range(MAX_KEPT + 1):
        denials.note(replace(DEED, actor=str(number)), now_s=0.0)

    assert denials.note(replace(DEED, actor="0"), now_s=1.0) is not None
    assert denials.note(replace(DEED, actor=str(MAX_KEPT)), now_s=1.0) is None
