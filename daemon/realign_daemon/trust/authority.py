"""Authority: the private certificate authority of one cluster, on the node that founded it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from realign_daemon.errors import Damaged
from realign_daemon.trust.bundle import TITLE, Bundle
from realign_daemon.trust.certificate import (
    DAY_S,
    MAX_NAME_BYTES,
    clean_name,
    purposes,
    server_names,
)
from realign_daemon.trust.keys import PrivateKey, PublicKey, key_pem, mint_key, node_id, parse_key
from realign_daemon.trust.roles import MemberRole
from realign_proto.handshake import JOIN

BACKDATED_S = DAY_S  # TLS refuses a certificate of tomorrow, and clocks of machines that never met differ
MEMBER_S = 365 * DAY_S
AUTHORITY_S = 3653 * DAY_S  # ten years
JOIN_S = 2 * DAY_S  # an invitation is for hours

_NAMELESS = "unnamed"
_NO_USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A key and its own certificate."""

    key: PrivateKey = field(repr=False)
    pem: bytes = field(repr=False)  # the certificate

    @classmethod
    def found(cls, cluster: str, *, now_unix_s: float) -> Authority:
        """A new authority for a cluster of this name, good for ten years."""
        key = mint_key()
        room = MAX_NAME_BYTES - len(TITLE)
        name = clean_name(cluster).encode()[:room].decode(errors="ignore").strip() or _NAMELESS
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TITLE + name)])
        builder = _builder(subject, subject, key.public_key(), now_unix_s, until_unix_s=now_unix_s + AUTHORITY_S)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**_NO_USAGE | {"key_cert_sign": True}), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key=key, pem=certificate.public_bytes(serialization.Encoding.PEM))

    @classmethod
    def load(cls, text: bytes, *, origin: str) -> Authority:
        """What `dump` wrote. Raises Damaged."""
        key = parse_key(text, origin=origin)
        try:
            certificate = x509.load_pem_x509_certificate(text)
        except ValueError as error:
            raise Damaged(f"{origin} holds no certificate beside the key; restore it from a backup") from error
        if certificate.public_key() != key.public_key():
            raise Damaged(f"the certificate in {origin} is not that of the key in it; restore it from a backup")
        return cls(key=key, pem=certificate.public_bytes(serialization.Encoding.PEM))

    def dump(self) -> bytes:
        """Key and certificate as one text, so that no crash leaves one without the other."""
        return key_pem(self.key) + self.pem

    @property
    def bundle(self) -> Bundle:
        """The bundle that trusts this authority only."""
        return Bundle.parse(self.pem)

    def issue(self, public: PublicKey, *, role: MemberRole, name: str, now_unix_s: float) -> bytes:
        """A certificate (PEM) for a member's key: a year, or as long as the authority itself lasts."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
                x509.NameAttribute(NameOID.COMMON_NAME, clean_name(name) or _NAMELESS),
            ]
        )
        names = server_names(node_id(public) if role == "node" else None)
        builder = self._builder(public, subject, now_unix_s=now_unix_s, lasting_s=MEMBER_S)
        return self._sign(builder, purposes(role), names)

    def issue_for_join(self, public: PublicKey, *, now_unix_s: float) -> bytes:
        """A certificate (PEM) to answer enrolments under, and for nothing else.

        Members do not get its name: one that did could take the secrets of those who join.
        """
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, JOIN)])
        purpose = frozenset({ExtendedKeyUsageOID.SERVER_AUTH})
        builder = self._builder(public, subject, now_unix_s=now_unix_s, lasting_s=JOIN_S)
        return self._sign(builder, purpose, (JOIN,))

    def endorse(self, successor_pem: bytes) -> bytes:
        """A signature by which members accept the successor; see Bundle.succeeded_by."""
        der = x509.load_pem_x509_certificate(successor_pem).public_bytes(serialization.Encoding.DER)
        return self.key.sign(der, ec.ECDSA(hashes.SHA256()))

    def _builder(
        self, public: PublicKey, subject: x509.Name, *, now_unix_s: float, lasting_s: float
    ) -> x509.CertificateBuilder:
        own = x509.load_pem_x509_certificate(self.pem)
        until_unix_s = min(now_unix_s + lasting_s, own.not_valid_after_utc.timestamp())
        return _builder(subject, own.subject, public, now_unix_s, until_unix_s=until_unix_s)

    def _sign(
        self,
        builder: x509.CertificateBuilder,
        purpose: frozenset[x509.ObjectIdentifier],
        names: tuple[str, ...],
    ) -> bytes:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**_NO_USAGE | {"digital_signature": True}), critical=True)
            .add_extension(x509.ExtendedKeyUsage(sorted(purpose, key=lambda use: use.dotted_string)), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, now_unix_s: float, *, until_unix_s: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(now_unix_s - BACKDATED_S), UTC))
        .not_valid_after(datetime.fromtimestamp(int(until_unix_s), UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
