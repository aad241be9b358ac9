"""The change to another authority: cut short anywhere, it leaves everybody who belonged inside, and can go on."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.trust.nodes import Node, counted, enrolled

from realign_daemon.errors import WrongState
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate
from realign_daemon.trust.keys import PublicKey, mint_key
from realign_daemon.trust.principal import OWNER
from realign_daemon.trust.renewal import Renewal
from realign_daemon.trust.shared_facts import AUTHORITY, Succession
from realign_daemon.trust.store import TrustStore

EVERY_WRITE = range(5)  # the new key, the succession, the authorities, the key's rename, the folder
CLIENT = mint_key()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def home(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The node that has founded a cluster, and let a client into it."""
    node = Node(tmp_path / "home", clock)
    await node.trust.found("home")
    await enrolled(node, CLIENT, "submit")
    counted(node.facts.disk, monkeypatch)
    return node


def assert_whole(node: Node) -> None:
    """Everybody belongs, and the key of the newest authority is here."""
    members = node.trust.members
    assert [member.certificate.name for member in members.all()] == ["n", "new"]
    assert all(members.bundle.issued(member.certificate.pem) for member in members.all())
    assert node.trust.holdings.authority is not None
    assert node.trust.holdings.authority.pem == members.bundle.pems[0]


async def completed(node: Node, before: Bundle) -> None:
    """Does what is left of the change."""
    if node.trust.members.bundle == before:
        await node.registrar.rotate()
    own: PublicKey = node.trust.holdings.key.public_key()
    await node.trust.keep_certificate(*pem_and_bundle(await node.registrar.renew_own(own)))
    await node.registrar.renew_own(CLIENT.public_key())
    await node.registrar.finish(OWNER)
    assert_whole(node)
    assert len(node.trust.members.bundle.pems) == 1
    assert node.trust.members.bundle != before


def pem_and_bundle(renewed: tuple[Certificate, Bundle]) -> tuple[bytes, Bundle]:
    certificate, bundle = renewed
    return certificate.pem, bundle


async def rotate_in_vain(node: Node) -> None:
    with suppress(OSError, sqlite3.OperationalError):
        await node.registrar.rotate()


@pytest.mark.parametrize("write", EVERY_WRITE)
async def test_a_crash_at_any_write_of_a_change_is_made_good_by_the_next_start(
    home: Node, tmp_path: Path, clock: ManualClock, write: int
) -> None:
    before = home.trust.members.bundle
    home.facts.disk.fail(range(write, 100))
    await rotate_in_vain(home)
    home.facts.disk.fail(range(0))

    again = Node(tmp_path / "home", clock, home.facts)
    await again.trust.load()

    assert_whole(again)
    await completed(again, before)


@pytest.mark.parametrize("write", EVERY_WRITE)
async def test_a_full_disk_at_any_write_of_a_change_is_made_good_without_a_restart(home: Node, write: int) -> None:
    before = home.trust.members.bundle
    home.facts.disk.fail(range(write, write + 1))
    await rotate_in_vain(home)

    members = home.trust.members
    assert all(members.bundle.issued(member.certificate.pem) for member in members.all())
    await completed(home, before)


@pytest.mark.parametrize("write", EVERY_WRITE)
async def test_a_change_that_was_cut_short_and_is_begun_again_is_one_change(home: Node, write: int) -> None:
    before = home.trust.members.bundle
    home.facts.disk.fail(range(write, write + 1))
    await rotate_in_vain(home)

    with suppress(WrongState):  # it is under way
        await home.registrar.rotate()

    assert_whole(home)
    assert home.trust.members.bundle.pems[1:] == before.pems
    await completed(home, before)


async def test_every_write_of_a_change_is_one_of_those_that_fail_here(home: Node) -> None:
    home.facts.disk.fail(range(0))
    await home.registrar.rotate()
    assert home.facts.disk.writes == len(EVERY_WRITE)


async def test_two_changes_that_are_begun_at_once_are_one(home: Node) -> None:
    answers = await asyncio.gather(home.registrar.rotate(), home.registrar.rotate(), return_exceptions=True)

    assert [type(answer) for answer in answers] == [type(None), WrongState]
    assert_whole(home)
    assert len(home.trust.members.bundle.pems) == 2


async def test_a_certificate_that_was_renewed_before_a_change_takes_nothing_of_it_back(home: Node) -> None:
    renewed = pem_and_bundle(await home.registrar.renew_own(home.trust.holdings.key.public_key()))
    await home.registrar.rotate()
    await home.trust.keep_certificate(*renewed)

    assert_whole(home)
    assert len(home.trust.holdings.bundle.pems) == 2


async def test_a_member_whose_disk_is_full_trusts_the_new_authority_all_the_same_and_keeps_it_later(
    home: Node, tmp_path: Path, clock: ManualClock
) -> None:
    other = Node(tmp_path / "other", clock)
    await other.trust.join(await enrolled(home, other.trust.holdings.key), key=other.trust.holdings.key)
    await home.registrar.rotate()
    for ref, payload in (await home.facts.all(AUTHORITY)).items():
        await other.facts.put(AUTHORITY, ref, payload)

    home.facts.disk.fail(range(100))
    await other.trust.load()
    assert other.trust.members.bundle == home.trust.members.bundle
    assert TrustStore(tmp_path / "other").load().bundle != home.trust.members.bundle

    home.facts.disk.fail(range(0))
    await other.trust.load()
    assert TrustStore(tmp_path / "other").load().bundle == home.trust.members.bundle


async def test_while_the_newest_authoritys_key_is_not_in_place_nobody_is_left_outside_or_renewed_again_and_again(
    home: Node, clock: ManualClock
) -> None:
    authority = home.trust.holdings.authority
    assert authority is not None
    lost = Authority.found("home", now_unix_s=clock.unix())
    await home.trust.keep_succession(
        Succession(pem=lost.pem, endorsement=authority.endorse(lost.pem), holder=home.trust.spki)
    )
    await home.trust.load()

    async def nobody(_: bytes) -> tuple[Certificate, Bundle]:
        raise AssertionError("the key is here")

    renewal, puts = Renewal(home.trust, home.registrar, ask=nobody, clock=clock), home.facts.puts
    with pytest.raises(WrongState, match="whose key is not in place"):
        await home.registrar.finish(OWNER)
    with pytest.raises(WrongState, match="whose key is not in place"):
        await renewal.renew()

    assert home.facts.puts == puts
    assert all(home.trust.members.bundle.issued(member.certificate.pem) for member in home.trust.members.all())


async def test_an_authority_is_not_dropped_while_somebody_depends_on_it(home: Node) -> None:
    await home.registrar.rotate()
    with pytest.raises(WrongState, match="n, new would be left outside"):
        await home.registrar.finish(OWNER)
    for public in (home.trust.holdings.key.public_key(), CLIENT.public_key()):
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

    again = Node(tmp_path / "home", clock, home.facts)

    assert again.trust.holdings.bundle.pems[1:] == before.pems
    assert again.registrar.holds
