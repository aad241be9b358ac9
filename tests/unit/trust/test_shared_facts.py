"""Shared facts: whatever order they come in, every node keeps the same, and none that nobody vouches for."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import reduce
from itertools import permutations
from pathlib import Path

import pytest
from tests.unit.trust.nodes import Node
from tests.unit.trust.trust_world import NOW, YEAR_S, authority, member

from realign_daemon.errors import Damaged
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.member import Revocation
from realign_daemon.trust.shared_facts import AUTHORITY, MEMBER, REVOCATION, Succession, merges

ISSUED = authority().bundle.issued
MERGES = merges(ISSUED)
ANN = [member("ann", at=NOW + age) for age in (0.0, 100.0, YEAR_S)]
OUT = [
    Revocation(spki=ANN[0].spki, reason=reason, revoked_by="owner", revoked_at_unix_s=at)
    for reason, at in (("stolen", NOW), ("lost", NOW), ("left", NOW + 1))
]


@pytest.mark.parametrize(
    ("kind", "payloads", "kept"),
    [(MEMBER, [one.dump() for one in ANN], ANN[2].dump()), (REVOCATION, [one.dump() for one in OUT], OUT[1].dump())],
)
def test_the_same_stays_in_every_order_and_however_often_it_comes(
    kind: str, payloads: list[bytes], kept: bytes
) -> None:
    def take(held: bytes | None, came: bytes) -> bytes:
        return MERGES[kind](ANN[0].spki, came, held)

    for order in permutations(payloads * 2):
        assert reduce(take, order, None) == kept


def test_a_member_that_no_authority_of_the_cluster_has_let_in_is_not_kept() -> None:
    stranger = member("ann")
    with pytest.raises(Damaged):
        merges(authority("elsewhere").bundle.issued)[MEMBER](stranger.spki, stranger.dump(), None)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (MEMBER, ANN[0].dump()),
        (REVOCATION, OUT[0].dump()),
        (AUTHORITY, Succession(pem=authority().pem, holder=ANN[0].spki).dump()),
    ],
)
def test_nothing_is_kept_under_another_name_than_its_own(kind: str, payload: bytes) -> None:
    with pytest.raises(Damaged):
        MERGES[kind]("0" * 64, payload, None)
    for junk in (b"", b"\x80", b"\x01"):
        with pytest.raises(Damaged):
            MERGES[kind]("0" * 64, junk, None)


def test_an_authority_is_known_by_all_of_its_entry_so_no_forged_one_takes_its_place() -> None:
    real = Succession(pem=authority().pem, endorsement=b"signed", holder=ANN[0].spki)
    forged = Succession(pem=authority().pem, endorsement=b"made up", holder=ANN[0].spki)

    assert real.ref != forged.ref
    assert Succession.load(MERGES[AUTHORITY](real.ref, real.dump(), None)) == real


def off_the_curve(pem: bytes) -> bytes:
    """The certificate with a key that is none: its point does not lie on P-256."""
    begin, *lines, end = pem.splitlines(keepends=True)
    der = bytearray(base64.b64decode(b"".join(lines)))
    der[der.index(b"\x03\x42\x00\x04") + 4] ^= 1
    return begin + base64.encodebytes(der) + end


async def test_a_certificate_that_a_node_made_up_is_passed_over_by_all_others_and_ends_none(tmp_path: Path) -> None:
    home = Node(tmp_path, ManualClock())
    await home.trust.found("home")
    forged = Succession(pem=off_the_curve(authority().pem), holder=home.trust.spki)
    await home.facts.put(AUTHORITY, forged.ref, forged.dump())
    before = home.trust.members.bundle

    await home.trust.load()

    assert home.trust.members.bundle == before
    made_up = replace(ANN[0], certificate=replace(ANN[0].certificate, pem=off_the_curve(ANN[0].certificate.pem)))
    with pytest.raises(Damaged):
        MERGES[MEMBER](made_up.spki, made_up.dump(), None)
