"""Registrar: who is let in, whose certificate is renewed, and how the authority changes."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.unit.trust.nodes import Node, enrolled

from realign_daemon.errors import BadInput, NotAllowed, NotFound, WrongState
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.keys import PrivateKey, certificate_request, mint_key
from realign_daemon.trust.member import Member
from realign_daemon.trust.principal import OWNER, Principal


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def home(tmp_path: Path, clock: ManualClock) -> Node:
    """The node that has founded the cluster."""
    node = Node(tmp_path / "home", clock)
    await node.trust.found("home")
    return node


async def test_who_is_let_in_gets_what_a_member_must_know(home: Node, clock: ManualClock, tmp_path: Path) -> None:
    other = Node(tmp_path / "other", clock)
    await other.trust.join(await enrolled(home, other.trust.holdings.key), key=other.trust.holdings.key)

    assert other.trust.cluster == "home"
    assert {member.certificate.name for member in other.trust.members.all()} == {"n", "new"}
    assert not other.registrar.holds
    with pytest.raises(NotFound, match="is on another node"):
        other.registrar.invite(role="node", name="", ttl_s=60, by=OWNER)


async def test_a_key_that_was_put_out_does_not_use_the_invitation_up(home: Node, clock: ManualClock) -> None:
    key = mint_key()
    out = (await enrolled(home, key)).certificate
    await home.trust.revoke(out.spki, reason="", by=OWNER)
    token = home.registrar.invite(role="node", name="", ttl_s=60, by=OWNER)

    async def enrol(key: PrivateKey) -> None:
        await home.registrar.enrol(
            secret=token.secret_text, request_pem=certificate_request(key), name="new", is_witness=False
        )

    trying = asyncio.create_task(enrol(key))
    await clock.run_for(0.6)
    with pytest.raises(WrongState, match="this key was revoked"):
        await trying
    await enrol(mint_key())


async def test_a_disk_that_is_full_when_somebody_enrols_does_not_use_the_invitation_up(
    home: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Member) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    token = home.registrar.invite(role="node", name="", ttl_s=60, by=OWNER)
    wish: dict[str, Any] = {"secret": token.secret_text, "request_pem": certificate_request(mint_key()), "name": "new"}
    with monkeypatch.context() as disk:
        disk.setattr(home.trust, "keep_member", full)
        with pytest.raises(sqlite3.OperationalError):
            await home.registrar.enrol(**wish, is_witness=False)
    await home.registrar.enrol(**wish, is_witness=False)
    assert home.trust.invitations.outstanding == 0


async def test_a_request_that_is_none_is_not_read_without_a_secret_and_does_not_use_one_up(
    home: Node, clock: ManualClock
) -> None:
    token = home.registrar.invite(role="node", name="", ttl_s=60, by=OWNER)
    for secret, error in (("a" * 26, NotAllowed), (token.secret_text, BadInput)):
        trying = asyncio.create_task(
            home.registrar.enrol(secret=secret, request_pem=b"none", name="new", is_witness=False)
        )
        await clock.run_for(0.6)
        with pytest.raises(error):
            await trying
    assert home.trust.invitations.outstanding == 1


async def test_a_renewed_certificate_is_the_one_that_counts_even_in_the_same_second(home: Node) -> None:
    key = mint_key()
    first = (await enrolled(home, key)).certificate
    caller = Principal(kind="node", role="node", name="new", spki=first.spki)

    second, _ = await home.registrar.renew(certificate_request(key), caller)

    assert second.not_after_unix_s > first.not_after_unix_s
    assert second in {member.certificate for member in home.trust.members.all()}
    with pytest.raises(BadInput, match="for the key that asks"):
        await home.registrar.renew(certificate_request(mint_key()), caller)


async def test_only_the_member_itself_is_renewed_and_only_while_it_is_one(home: Node) -> None:
    key = mint_key()
    gone = (await enrolled(home, key)).certificate
    await home.trust.revoke(gone.spki, reason="", by=OWNER)
    with pytest.raises(NotFound, match="only members have their certificates renewed"):
        await home.registrar.renew(
            certificate_request(key), Principal(kind="node", role="node", name="x", spki=gone.spki)
        )


async def test_a_wrong_secret_lets_nobody_in_and_no_role_is_made_up(home: Node, clock: ManualClock) -> None:
    request = certificate_request(mint_key())
    trying = asyncio.create_task(home.registrar.enrol(secret="a" * 26, request_pem=request, name="x", is_witness=False))
    await clock.run_for(0.6)
    with pytest.raises(NotAllowed, match="was not given"):
        await trying
    with pytest.raises(BadInput, match="there is no role 'root'"):
        home.registrar.invite(role="root", name="", ttl_s=60, by=OWNER)
