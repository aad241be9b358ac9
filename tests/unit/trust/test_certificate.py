"""Certificates: what the authority issues, who is believed, and when."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.trust.trust_world import NOW, YEAR_S, authority, key, pem

from realign_daemon.errors import BadInput, Damaged, NotAllowed
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import JOIN_AGAIN, Bundle
from realign_daemon.trust.certificate import DAY_S, Certificate, clean_name, parse_certificate
from realign_daemon.trust.keys import certificate_request, mint_key, node_id, requested_key, spki_hash
from realign_daemon.trust.principal import Refusal
from realign_daemon.trust.roles import MemberRole

ROLES = st.sampled_from(get_args(MemberRole))


def names_of(certificate_pem: bytes) -> list[str]:
    extensions = x509.load_pem_x509_certificate(certificate_pem).extensions
    return extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def test_a_node_is_named_by_its_key() -> None:
    public = key("studio").public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(der)

    read = parse_certificate(pem("studio", "node"))

    assert read.spki == spki_hash(public) == digest.hexdigest()
    assert read.node_id == node_id(public) == base64.b32encode(digest.digest()).decode().lower()[:26]
    assert names_of(read.pem) == [f"{read.node_id}.node.realign.internal", "member.realign.internal"]


def test_a_certificate_counts_from_the_day_before_for_a_year_and_is_renewed_half_way() -> None:
    read = parse_certificate(pem())

    assert (read.not_before_unix_s, read.not_after_unix_s) == (NOW - DAY_S, NOW + YEAR_S)
    assert not read.is_half_way(NOW + 181 * DAY_S)
    assert read.is_half_way(NOW + 182 * DAY_S)


def test_no_certificate_outlasts_its_authority() -> None:
    late = NOW + 3600 * DAY_S

    read = parse_certificate(pem(at=late))

    assert read.not_after_unix_s == NOW + 3653 * DAY_S


@settings(max_examples=40, deadline=None)
@given(role=ROLES, name=st.text(max_size=90))
def test_a_certificate_for_one_role_never_yields_another(role: MemberRole, name: str) -> None:
    public = key("anybody").public_key()
    issued = authority().issue(public, role=role, name=name, now_unix_s=NOW)

    read = authority().bundle.examine(issued, now_unix_s=NOW)

    assert isinstance(read, Certificate)
    assert (read.role, read.name) == (role, clean_name(name) or "unnamed")
    assert (read.node_id is not None) == (role == "node")


@settings(deadline=None)
@given(name=st.text(max_size=200))
def test_a_name_fits_a_certificate_and_a_terminal(name: str) -> None:
    cleaned = clean_name(name)

    assert len(cleaned.encode()) <= 64
    assert cleaned.isprintable()
    assert cleaned == clean_name(cleaned)


def test_a_request_decides_on_nothing_but_the_key() -> None:
    wanted = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "admin"),
            x509.NameAttribute(NameOID.COMMON_NAME, "root"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(wanted)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("member.realign.internal")]), False)
    asked = builder.sign(key("ann"), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    issued = authority().issue(requested_key(asked), role="read", name="ann", now_unix_s=NOW)

    read = parse_certificate(issued)
    assert (read.role, read.name, read.spki) == ("read", "ann", spki_hash(key("ann").public_key()))
    with pytest.raises(x509.ExtensionNotFound):
        names_of(issued)


def test_the_request_of_a_node_or_client_is_accepted() -> None:
    assert spki_hash(requested_key(certificate_request(key("ann")))) == spki_hash(key("ann").public_key())


def forged(request: bytes) -> bytes:
    """The request with another signature."""
    der = bytearray(x509.load_pem_x509_csr(request).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


def other_kind(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    algorithm = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private, algorithm).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("request_pem", "sentence"),
    [
        (b"", "cannot be read"),
        (b"x" * 20_000, "more than 16384"),
        (forged(certificate_request(mint_key())), "not signed by its own key"),
        (other_kind(ec.generate_private_key(ec.SECP384R1())), "not of the kind P-256"),
        (other_kind(ed25519.Ed25519PrivateKey.generate()), "not of the kind P-256"),
    ],
)
def test_a_request_that_proves_no_p256_key_is_refused(request_pem: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        requested_key(request_pem)


@pytest.mark.parametrize(
    ("shown", "now", "sentence"),
    [
        (
            pem(),
            NOW + YEAR_S + 1,
            f"the certificate of 'ann' expired on 2028-01-15 08:00 UTC; {JOIN_AGAIN}",
        ),
        (
            pem(),
            NOW - DAY_S - 1,
            "the certificate of 'ann' is not valid before 2027-01-14 08:00 UTC; set the clocks of both machines",
        ),
        (
            pem(by="elsewhere"),
            NOW,
            f"the certificate of 'ann' was not issued by this cluster's authority; {JOIN_AGAIN}",
        ),
    ],
    ids=["expired", "not yet valid", "foreign authority"],
)
def test_a_certificate_that_does_not_count_is_refused_with_why(shown: bytes, now: float, sentence: str) -> None:
    assert authority().bundle.examine(shown, now_unix_s=now) == Refusal(reason=sentence)


def test_an_authority_of_the_same_name_is_foreign_all_the_same() -> None:
    twin = Authority.found("home", now_unix_s=NOW)
    shown = twin.issue(key("ann").public_key(), role="admin", name="ann", now_unix_s=NOW)

    assert isinstance(authority().bundle.examine(shown, now_unix_s=NOW), Refusal)


def odd(
    *,
    unit: tuple[str, ...] = ("node",),
    name: str = "x",
    ca: bool = False,
    purposes: int = 2,
    names: tuple[str, ...] = (),
) -> bytes:
    """A certificate that our authority's key signed, but our code never would."""
    home = authority()
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH][:purposes]
    subject = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, each) for each in unit]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*subject, x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.load_pem_x509_certificate(home.pem).subject)
        .public_key(key("odd").public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(NOW - DAY_S, UTC))
        .not_valid_after(datetime.fromtimestamp(NOW + DAY_S, UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    return builder.sign(home.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


OWN_NAMES = (f"{node_id(key('odd').public_key())}.node.realign.internal", "member.realign.internal")


def test_the_builder_of_odd_certificates_can_make_a_good_one() -> None:
    assert parse_certificate(odd(names=OWN_NAMES)).role == "node"


@pytest.mark.parametrize(
    "shown",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        authority().pem,
        authority().issue_for_join(key("odd").public_key(), now_unix_s=NOW),
        odd(unit=(), names=OWN_NAMES),
        odd(unit=("node", "admin"), names=OWN_NAMES),
        odd(unit=("owner",)),
        odd(name=" x", names=OWN_NAMES),
        odd(ca=True, names=OWN_NAMES),
        odd(purposes=1, names=OWN_NAMES),
        odd(unit=("submit",)),
        odd(unit=("submit",), purposes=1, names=OWN_NAMES),
        odd(),
        odd(names=("b" * 26 + ".node.realign.internal", "member.realign.internal")),
        odd(names=(*OWN_NAMES, "join.realign.internal")),
    ],
)
def test_a_certificate_that_is_not_exactly_ours_says_nothing(shown: bytes) -> None:
    with pytest.raises(Damaged, match="not a certificate of a realign member"):
        parse_certificate(shown)


def test_during_a_change_of_authority_both_count_and_afterwards_the_new_one_only() -> None:
    old, new = authority("home"), authority("home again")
    both = old.bundle.succeeded_by(new.pem, old.endorse(new.pem))
    assert isinstance(both, Bundle)
    by_old, by_new = pem(by="home"), pem(by="home again")

    assert both.digests == (*new.bundle.digests, *old.bundle.digests)
    assert both.cluster == "home again"
    assert Bundle.parse(both.text) == both
    assert all(isinstance(both.examine(each, now_unix_s=NOW), Certificate) for each in (by_old, by_new))

    finished = both.without({old.bundle.keys[0]})
    assert isinstance(finished.examine(by_old, now_unix_s=NOW), Refusal)
    assert isinstance(finished.examine(by_new, now_unix_s=NOW), Certificate)


def test_a_new_authority_needs_the_word_of_one_that_is_trusted() -> None:
    home, stranger = authority("home"), authority("elsewhere")

    for endorsement in (b"", stranger.endorse(stranger.pem), home.endorse(authority("other").pem)):
        assert isinstance(home.bundle.succeeded_by(stranger.pem, endorsement), Refusal)
    endorsed = home.endorse(stranger.pem)
    assert isinstance(home.bundle.succeeded_by(stranger.pem + authority("other").pem, endorsed), Refusal)
    assert home.bundle.succeeded_by(home.pem, home.endorse(home.pem)) == home.bundle


def test_the_newest_authority_cannot_be_dropped() -> None:
    bundle = authority().bundle

    assert bundle.without(set(bundle.keys)) == bundle


def test_the_answer_of_a_join_port_counts_only_when_it_is_the_invitations_authority_alone() -> None:
    home, other = authority("home"), authority("elsewhere")
    (digest,) = home.bundle.digests

    assert Bundle.pinned(home.pem, digest=digest) == home.bundle
    for answer in (other.pem, home.pem + other.pem, other.pem + home.pem, home.pem * 2, b"", pem()):
        with pytest.raises(NotAllowed, match="is not the one that the invitation is for"):
            Bundle.pinned(answer, digest=digest)
