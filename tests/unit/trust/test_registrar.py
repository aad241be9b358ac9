"""Registrar: who is let in, whose certificate is renewed, and how the authority changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from realign_daemon.errors import BadInput, NotAllowed, NotFound, WrongState
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate
from realign_daemon.trust.keys import PrivateKey, certificate_request, mint_key
from realign_daemon.trust.principal import OWNER, Principal
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.renewal import Renewal
from realign_daemon.trust.shared_facts import Issued, merges
from realign_daemon.trust.store import TrustStore
from realign_daemon.trust.trust import Enrolled, Trust


class OneMemory:
    """SharedFacts of a node alone."""

    def __init__(self, issued: Issued) -> None:
        self._merges = merges(issued)
        self._held: dict[tuple[str, str], bytes] = {}

    async def put(self, kind: str, ref: str, payload: bytes) -> None:
        self._held[kind, ref] = self._merges[kind](ref, payload, self._held.get((kind, ref)))

    async def all(self, kind: str) -> Mapping[str, bytes]:
        return {ref: payload for (held, ref), payload in self._held.items() if held == kind}

    async def changes(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield


class Node:
    """A node's trust, on one clock with the others."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        facts = OneMemory(lambda pem: self.trust.issued(pem))  # noqa: PLW0108 - there is no trust yet
        self.trust: Trust = Trust(store=TrustStore(folder), facts=facts, clock=clock, node_name="n")
        self.registrar = Registrar(self.trust, clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def home(tmp_path: Path, clock: ManualClock) -> Node:
    """The node that has founded the cluster."""
    node = Node(tmp_path / "home", clock)
    await node.trust.found("home")
    return node


async def enrolled(home: Node, key: PrivateKey, role: str = "node") -> Enrolled:
    token = home.registrar.invite(role=role, name="", ttl_s=60, by=OWNER)
    _, one = await home.registrar.enrol(
        secret=token.secret_text, request_pem=certificate_request(key), name="new", is_witness=False
    )
    return one


async def test_who_is_let_in_gets_what_a_member_must_know(home: Node, clock: ManualClock, tmp_path: Path) -> None:
    other = Node(tmp_path / "other", clock)
    await other.trust.join(await enrolled(home, other.trust.holdings.key), key=other.trust.holdings.key)

    assert other.trust.cluster == "home"
    assert {member.certificate.name for member in other.trust.members.all()} == {"n", "new"}
    assert not other.registrar.holds
    with pytest.raises(NotFound, match="is on another node"):
        other.registrar.invite(role="node", name="", ttl_s=60, by=OWNER)


async def test_a_key_that_was_put_out_does_not_use_the_invitation_up(home: Node) -> None:
    key = mint_key()
    out = (await enrolled(home, key)).certificate
    await home.trust.revoke(out.spki, reason="", by=OWNER)
    token = home.registrar.invite(role="node", name="", ttl_s=60, by=OWNER)

    async def enrol(key: PrivateKey) -> None:
        await home.registrar.enrol(
            secret=token.secret_text, request_pem=certificate_request(key), name="new", is_witness=False
        )

    with pytest.raises(WrongState, match="this key was revoked"):
        await enrol(key)
    await enrol(mint_key())


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


async def test_an_authority_is_not_dropped_while_somebody_depends_on_it(home: Node) -> None:
    key = mint_key()
    await enrolled(home, key, "submit")
    await home.registrar.rotate()
    with pytest.raises(WrongState, match="n, new would be left outside"):
        await home.registrar.finish(OWNER)
    for public in (home.trust.holdings.key.public_key(), key.public_key()):
        await home.registrar.renew_own(public)
    await home.registrar.finish(OWNER)

    assert len(home.trust.members.bundle.pems) == 1
    with pytest.raises(WrongState, match="no change of the authority is under way"):
        await home.registrar.finish(OWNER)


async def test_an_authority_endures_a_restart_in_the_middle_of_its_change(
    home: Node, tmp_path: Path, clock: ManualClock
) -> None:
    before = home.trust.members.bundle
    await home.registrar.rotate()

    again = Node(tmp_path / "home", clock)

    assert again.trust.holdings.bundle.pems[1:] == before.pems
    assert again.registrar.holds


async def test_a_nodes_certificate_is_renewed_at_half_its_life_and_after_a_change_of_the_authority(
    home: Node, clock: ManualClock
) -> None:
    async def nobody(_: bytes) -> tuple[Certificate, Bundle]:
        raise AssertionError("the key is here")

    renewal = Renewal(home.trust, home.registrar, ask=nobody, clock=clock)
    assert not renewal.is_due
    clock.advance(190 * 86_400.0)
    assert renewal.is_due
    await renewal.renew()
    assert not renewal.is_due
    await home.registrar.rotate()
    assert renewal.is_due
    await renewal.renew()
    assert not renewal.is_due


async def test_a_wrong_secret_lets_nobody_in_and_no_role_is_made_up(home: Node, clock: ManualClock) -> None:
    request = certificate_request(mint_key())
    trying = asyncio.create_task(home.registrar.enrol(secret="a" * 26, request_pem=request, name="x", is_witness=False))
    await clock.run_for(0.6)
    with pytest.raises(NotAllowed, match="was not given"):
        await trying
    with pytest.raises(BadInput, match="there is no role 'root'"):
        home.registrar.invite(role="root", name="", ttl_s=60, by=OWNER)
