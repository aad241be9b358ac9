"""Invitations: used once, in time, by whoever has the secret."""

from __future__ import annotations

import asyncio

import pytest

from realign_daemon.errors import BadInput, NotAllowed
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.invitation import Invitation, Invitations
from realign_proto.token import Token

DIGEST = b"\x01" * 32
TOO_MANY = "too many enrolments have failed in the last minute; try again in a minute"
WRONG = Token.mint(DIGEST).secret_text


def invite(invitations: Invitations, *, ttl_s: float = 3600.0) -> Token:
    return invitations.invite(authority_sha256=DIGEST, role="submit", name="ann", by="owner", ttl_s=ttl_s)


def whatever(_: Invitation) -> None:
    """Nothing else is wrong."""


async def redeem(invitations: Invitations, clock: ManualClock, secret: str) -> Invitation | str:
    """The invitation, or why there is none, whenever that is said."""
    task = asyncio.create_task(invitations.redeem(secret, whatever))
    await clock.run_for(0.6)
    assert task.done()
    try:
        return (await task)[0]
    except NotAllowed as refusal:
        return str(refusal)


async def test_an_invitation_lets_one_in_and_then_nobody() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    assert await redeem(invitations, clock, token.secret_text) == Invitation(
        role="submit", name="ann", by="owner", expires_at_s=4600.0
    )
    assert (invitations.outstanding, invitations.is_open) == (0, False)
    assert await redeem(invitations, clock, token.secret_text) == (
        "this invitation was used already; ask for a new invitation"
    )


async def test_two_who_come_at_once_with_one_invitation_are_not_both_let_in() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    answers = await asyncio.gather(*(redeem(invitations, clock, token.secret_text) for _ in range(2)))

    assert sorted(type(answer).__name__ for answer in answers) == ["Invitation", "str"]


async def test_an_invitation_expires_while_the_machine_sleeps_and_not_when_its_wall_clock_is_set() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations, ttl_s=60)
    clock.advance(60)

    assert not invitations.is_open
    assert await redeem(invitations, clock, token.secret_text) == (
        "this invitation has expired; ask for a new invitation"
    )


@pytest.mark.parametrize("secret", [WRONG, "", "x", WRONG.upper()], ids=["another", "none", "short", "upper case"])
async def test_a_wrong_secret_is_answered_late_and_uses_nothing_up(secret: str) -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    late = asyncio.create_task(invitations.redeem(secret, whatever))
    await clock.run_for(0.4)
    assert not late.done()
    await clock.run_for(0.1)
    with pytest.raises(NotAllowed):
        await late
    assert isinstance(await redeem(invitations, clock, token.secret_text), Invitation)


async def test_what_else_is_wrong_with_an_enrolment_is_looked_at_for_a_good_secret_only_and_answered_late() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token, looked_at = invite(invitations), list[Invitation]()

    def wrong(invitation: Invitation) -> None:
        looked_at.append(invitation)
        raise BadInput("the request is none")

    for secret, error, looks in ((WRONG, NotAllowed, 0), (token.secret_text, BadInput, 1)):
        late = asyncio.create_task(invitations.redeem(secret, wrong))
        await clock.run_for(0.4)
        assert not late.done()
        await clock.run_for(0.1)
        with pytest.raises(error):
            await late
        assert len(looked_at) == looks
    assert isinstance(await redeem(invitations, clock, token.secret_text), Invitation)


@pytest.mark.parametrize("is_invited", [False, True])
async def test_five_failures_close_the_port_for_a_minute_however_many_come_at_once(*, is_invited: bool) -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    def wrong(_: Invitation) -> None:
        raise BadInput("the request is none")

    secret = token.secret_text if is_invited else WRONG
    failures = [asyncio.create_task(invitations.redeem(secret, wrong)) for _ in range(20)]
    await clock.run_for(0.5)
    expected = BadInput if is_invited else NotAllowed
    assert {type(failure.exception()) for failure in failures[:5]} == {expected}
    assert {str(failure.exception()) for failure in failures[5:]} == {TOO_MANY}

    assert not invitations.is_open
    assert await redeem(invitations, clock, token.secret_text) == TOO_MANY

    clock.advance(60)
    assert invitations.is_open
    assert isinstance(await redeem(invitations, clock, token.secret_text), Invitation)


def test_the_secret_is_not_kept() -> None:
    invitations = Invitations(ManualClock())
    token = invite(invitations)

    assert token.secret not in repr(vars(invitations)).encode()
    assert repr(token.secret) not in repr(vars(invitations))


@pytest.mark.parametrize("ttl_s", [0, -1, 8 * 86_400, float("nan"), float("inf")])
def test_an_invitation_for_no_time_or_for_ever_is_refused(ttl_s: float) -> None:
    with pytest.raises(BadInput, match="an invitation cannot last"):
        invite(Invitations(ManualClock()), ttl_s=ttl_s)


def test_there_is_a_limit_to_invitations_that_wait_but_not_to_those_that_have_expired() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    for _ in range(100):
        invite(invitations, ttl_s=10)
    with pytest.raises(BadInput, match="100 invitations are outstanding"):
        invite(invitations)

    clock.advance(10)
    invite(invitations)
    assert invitations.outstanding == 1
