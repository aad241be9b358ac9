"""Invitations: used once, in time, by whoever has the secret."""

from __future__ import annotations

import asyncio

import pytest

from realign_daemon.errors import BadInput
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.invitation import Invitation, Invitations
from realign_daemon.trust.principal import Refusal
from realign_proto.token import Token

DIGEST = b"\x01" * 32
WRONG = Token.mint(DIGEST).secret_text


def invite(invitations: Invitations, *, ttl_s: float = 3600.0) -> Token:
    return invitations.invite(authority_sha256=DIGEST, role="submit", name="ann", by="owner", ttl_s=ttl_s)


async def redeem(invitations: Invitations, clock: ManualClock, secret: str) -> Invitation | Refusal:
    """The answer, whenever it comes."""
    task = asyncio.create_task(invitations.redeem(secret))
    await clock.run_for(0.6)
    assert task.done()
    return await task


async def test_an_invitation_lets_one_in_and_then_nobody() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    assert await invitations.redeem(token.secret_text) == Invitation(
        role="submit", name="ann", by="owner", expires_at_s=4600.0
    )
    assert (invitations.outstanding, invitations.is_open) == (0, False)
    assert await redeem(invitations, clock, token.secret_text) == Refusal(
        reason="this invitation was used already; ask for a new invitation"
    )


async def test_two_who_come_at_once_with_one_invitation_are_not_both_let_in() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    answers = await asyncio.gather(*(redeem(invitations, clock, token.secret_text) for _ in range(2)))

    assert sorted(type(answer).__name__ for answer in answers) == ["Invitation", "Refusal"]


async def test_an_invitation_expires_while_the_machine_sleeps_and_not_when_its_wall_clock_is_set() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations, ttl_s=60)
    clock.advance(60)

    assert not invitations.is_open
    assert await redeem(invitations, clock, token.secret_text) == Refusal(
        reason="this invitation has expired; ask for a new invitation"
    )


@pytest.mark.parametrize("secret", [WRONG, "", "x", WRONG.upper()], ids=["another", "none", "short", "upper case"])
async def test_a_wrong_secret_is_answered_late_and_uses_nothing_up(secret: str) -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)

    late = asyncio.create_task(invitations.redeem(secret))
    await clock.run_for(0.4)
    assert not late.done()
    await clock.run_for(0.1)
    assert isinstance(await late, Refusal)
    assert isinstance(await invitations.redeem(token.secret_text), Invitation)


async def test_five_failures_close_the_port_for_a_minute_however_many_come_at_once() -> None:
    clock = ManualClock()
    invitations = Invitations(clock)
    token = invite(invitations)
    for failure in [asyncio.create_task(invitations.redeem(WRONG)) for _ in range(20)]:
        await clock.run_for(0.5)
        assert isinstance(await failure, Refusal)

    assert not invitations.is_open
    refused = await invitations.redeem(token.secret_text)
    assert refused == Refusal(reason="too many wrong invitations were shown in the last minute; try again in a minute")

    clock.advance(60)
    assert invitations.is_open
    assert isinstance(await invitations.redeem(token.secret_text), Invitation)


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
