"""Members: who is let in at this moment, and as what."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.trust.trust_world import NOW, YEAR_S, authority, key, member, pem

from realign_daemon.engine.codec import pack, unpack
from realign_daemon.errors import Damaged
from realign_daemon.trust.certificate import DAY_S
from realign_daemon.trust.keys import SpkiHash, spki_hash
from realign_daemon.trust.member import Member, Revocation
from realign_daemon.trust.members import Members, behalf_header
from realign_daemon.trust.principal import OWNER, Principal, Refusal
from realign_daemon.trust.roles import MemberRole


def revocation(name: str = "ann", *, at: float = NOW, reason: str = "laptop lost") -> Revocation:
    spki = spki_hash(key(name).public_key())
    return Revocation(spki=spki, reason=reason, revoked_by="bob (12345678)", revoked_at_unix_s=at)


def members(*admitted: Member) -> Members:
    return Members(bundle=authority().bundle, members=admitted)


def reason(answer: Principal | Refusal | None) -> str:
    assert isinstance(answer, Refusal)
    return answer.reason


@pytest.mark.parametrize("role", get_args(MemberRole))
def test_a_member_is_who_its_certificate_says(role: MemberRole) -> None:
    entry = member("ann", role)

    assert members(entry).principal(pem("ann", role), now_unix_s=NOW) == Principal(
        kind="node" if role == "node" else "client",
        role=role,
        name="ann",
        spki=entry.spki,
        node_id=entry.certificate.node_id,
    )


def test_a_good_certificate_alone_lets_nobody_in() -> None:
    refused = reason(members().principal(pem(), now_unix_s=NOW))

    assert refused == "'ann' is not in this node's list of members; if it has just joined, try again in a minute"


def test_a_listed_key_with_a_certificate_for_another_role_is_refused() -> None:
    refused = reason(members(member("ann", "read")).principal(pem("ann", "admin"), now_unix_s=NOW))

    assert refused.startswith("'ann' shows the role 'admin' but was let in as 'read'")


def test_a_revocation_counts_for_a_caller_whose_certificate_was_already_read() -> None:
    belonging = members(member())
    assert isinstance(belonging.principal(pem(), now_unix_s=NOW), Principal)

    belonging.revoke(revocation())

    assert reason(belonging.principal(pem(), now_unix_s=NOW)) == (
        "the key of 'ann' was revoked by bob (12345678) (laptop lost); "
        "join the cluster with a new invitation and a new key"
    )
    assert belonging.all() == ()


def test_expiry_counts_for_a_caller_whose_certificate_was_already_read() -> None:
    belonging = members(member())
    assert isinstance(belonging.principal(pem(), now_unix_s=NOW), Principal)

    assert "expired" in reason(belonging.principal(pem(), now_unix_s=NOW + YEAR_S + 1))


def test_a_dropped_authority_counts_for_a_caller_whose_certificate_was_already_read() -> None:
    belonging = members(member())
    assert isinstance(belonging.principal(pem(), now_unix_s=NOW), Principal)

    belonging.trust(authority("elsewhere").bundle)

    assert "not issued by this cluster's authority" in reason(belonging.principal(pem(), now_unix_s=NOW))


def test_revoking_the_old_authoritys_key_ends_a_change_of_authority() -> None:
    old, new = authority("home"), authority("home again")
    belonging = Members(bundle=type(new.bundle)(pems=(new.pem, old.pem)), members=[member()])
    assert isinstance(belonging.principal(pem(), now_unix_s=NOW), Principal)

    belonging.revoke(Revocation(spki=old.bundle.keys[0], reason="replaced", revoked_by="owner", revoked_at_unix_s=NOW))

    assert belonging.bundle == new.bundle
    assert "not issued" in reason(belonging.principal(pem(), now_unix_s=NOW))
    assert isinstance(belonging.principal(pem(by="home again"), now_unix_s=NOW), Principal)


def test_a_revoked_key_stays_out_whatever_is_admitted_later() -> None:
    belonging = members()
    belonging.revoke(revocation())
    belonging.admit(member(at=NOW + DAY_S))

    assert "revoked" in reason(belonging.principal(pem(), now_unix_s=NOW))
    assert "revoked" in reason(belonging.enrolment(member().spki, "submit"))


def test_a_key_is_enrolled_in_one_role_only() -> None:
    belonging = members(member("ann", "read"))
    spki = member("ann", "read").spki

    assert belonging.enrolment(spki, "read") is None
    assert "belongs to a member with the role 'read' already" in reason(belonging.enrolment(spki, "admin"))
    assert belonging.enrolment(SpkiHash("0" * 64), "admin") is None


NEWS = [
    member("ann"),
    member("ann", at=NOW + 5 * DAY_S),
    member("ann", at=NOW + 5 * DAY_S, witness=True),
    member("bob", "node"),
    revocation("ann", at=NOW + 7),
    revocation("ann", at=NOW + 3),
    revocation("bob", reason="x"),
    revocation("bob", reason="y"),
]


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(NEWS), again=st.lists(st.sampled_from(NEWS)), kept=st.sets(st.integers(0, len(NEWS) - 1)))
def test_the_order_and_repetition_of_news_change_nothing(
    order: list[Member | Revocation], again: list[Member | Revocation], kept: set[int]
) -> None:
    wanted = [NEWS[index] for index in kept]

    def after(news: list[Member | Revocation]) -> tuple[object, ...]:
        belonging = members()
        for item in news:
            if isinstance(item, Member):
                belonging.admit(item)
            else:
                belonging.revoke(item)
        return belonging.all(), belonging.principal(pem(), now_unix_s=NOW)

    shuffled = [item for item in order if item in wanted]
    assert after(wanted) == after([*shuffled, *(item for item in again if item in wanted)])


@pytest.mark.parametrize("item", NEWS)
def test_journal_payloads_round_trip_in_one_spelling(item: Member | Revocation) -> None:
    payload = item.dump()

    assert type(item).load(payload) == item
    assert type(item).load(payload).dump() == payload


def test_what_a_newer_version_adds_to_a_payload_is_left_out() -> None:
    entry = member()

    assert Member.load(pack(unpack(entry.dump()) | {"quota": 3})) == entry


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        pack([]),
        pack({}),
        pack(unpack(member().dump()) | {"certificate": b"none"}),
        pack(unpack(member().dump()) | {"certificate": "text"}),
        pack(unpack(member().dump()) | {"witness": 1}),
        pack(unpack(member().dump()) | {"added_at": None}),
    ],
)
def test_a_damaged_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(Damaged):
        Member.load(payload)
    with pytest.raises(Damaged):
        Revocation.load(payload)


def test_a_member_is_found_by_name_node_id_and_the_beginning_of_its_key() -> None:
    ann, studio = member("ann"), member("studio", "node")
    belonging = members(ann, studio)

    assert belonging.find("ann") == (ann,)
    assert belonging.find(str(studio.certificate.node_id)[:8].upper()) == (studio,)
    assert belonging.find(ann.spki[:6]) == (ann,)
    assert belonging.find(ann.spki[:5]) == belonging.find("") == belonging.find("an") == ()


NODE, CLIENT, ADMIN = member("studio", "node"), member("ann", "submit"), member("root", "admin")


def principal(belonging: Members, entry: Member) -> Principal:
    found = belonging.principal(entry.certificate.pem, now_unix_s=NOW)
    assert isinstance(found, Principal)
    return found


def test_a_node_speaks_for_a_client_with_the_clients_own_rights() -> None:
    belonging = members(NODE, CLIENT)
    node, client = principal(belonging, NODE), principal(belonging, CLIENT)

    assert belonging.on_behalf(node, behalf_header(client, node=NODE.spki)) == client


def test_the_owner_of_another_node_is_an_admin_here_over_any_number_of_hops() -> None:
    laptop = member("laptop", "node")
    belonging = members(NODE, laptop)
    first = belonging.on_behalf(principal(belonging, NODE), behalf_header(OWNER, node=NODE.spki))

    assert isinstance(first, Principal)
    assert first == Principal(kind="owner", role="admin", name="owner of studio", spki=NODE.spki)
    assert belonging.on_behalf(principal(belonging, laptop), behalf_header(first, node=laptop.spki)) == first


@pytest.mark.parametrize(
    ("caller", "header"),
    [
        *itertools.product((CLIENT, ADMIN), (f"{NODE.spki}:owner", f"{ADMIN.spki}:admin", "owner:owner")),
        *((NODE, header) for header in ("", ":", "owner:owner", f"{CLIENT.spki}:admin", f"{CLIENT.spki}:owner")),
        (NODE, f"{NODE.spki}:node"),
        (NODE, f"{'0' * 64}:admin"),
    ],
    ids=[str(number) for number in range(13)],  # the keys differ from run to run
)
def test_nobody_else_is_spoken_for(caller: Member, header: str) -> None:
    belonging = members(NODE, CLIENT, ADMIN)

    assert isinstance(belonging.on_behalf(principal(belonging, caller), header), Refusal)


def test_a_revoked_client_is_refused_behind_a_node_too() -> None:
    belonging = members(NODE, CLIENT)
    node = principal(belonging, NODE)
    belonging.revoke(revocation("ann"))

    assert "revoked" in reason(belonging.on_behalf(node, f"{CLIENT.spki}:submit"))
