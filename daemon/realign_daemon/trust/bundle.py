"""Bundle: the authorities that a member trusts now, newest first; more than one while the key is being changed."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from realign_daemon.errors import Damaged, NotAllowed
from realign_daemon.trust.certificate import Certificate, parse_certificate, parse_x509, whole
from realign_daemon.trust.keys import UNREADABLE, PublicKey, SpkiHash, is_p256, spki_hash
from realign_daemon.trust.principal import Refusal

TITLE = "realign "  # before the cluster's name in an authority's common name
JOIN_AGAIN = "join the cluster with a new invitation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Authorities' certificates. Empty on a machine that is in no cluster, and then trusts nobody."""

    pems: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: bytes) -> Bundle:
        """The authorities in a text of one or more certificates. Raises Damaged when one of them is none."""
        try:
            found = [whole(one) for one in x509.load_pem_x509_certificates(text)]
        except UNREADABLE as error:
            raise Damaged(f"the authorities' certificates cannot be read; {JOIN_AGAIN}") from error
        if not all(_is_authority(one) for one in found):
            raise Damaged(f"a certificate that may sign no others stands among the authorities; {JOIN_AGAIN}")
        return cls(pems=tuple(one.public_bytes(serialization.Encoding.PEM) for one in found))

    @classmethod
    def pinned(cls, text: bytes, *, digest: bytes) -> Bundle:
        """The one authority of this digest, out of an answer that nobody vouches for. One that holds more is refused.

        Raises:
            NotAllowed: the answer is something else.
        """
        try:
            bundle = cls.parse(text)
        except Damaged:
            bundle = cls()
        if bundle.digests != (digest,):
            raise NotAllowed(
                "the cluster at that address is not the one that the invitation is for, so nothing was sent to it; "
                "check the address, and ask again whoever gave you the invitation"
            )
        return bundle

    @property
    def text(self) -> bytes:
        """All of them, as TLS takes its trust roots."""
        return b"".join(self.pems)

    @property
    def digests(self) -> tuple[bytes, ...]:
        """sha256 of each certificate (DER). A token names the first."""
        return tuple(hashlib.sha256(_der(pem)).digest() for pem in self.pems)

    @property
    def keys(self) -> tuple[SpkiHash, ...]:
        """The hash of each authority's public key."""
        return tuple(spki_hash(_key(pem)) for pem in self.pems)

    @property
    def cluster(self) -> str:
        """The cluster's name, for people; empty in no cluster."""
        if not self.pems:
            return ""
        names = _loaded(self.pems[0]).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value).removeprefix(TITLE) if names else ""

    def examine(self, pem: bytes, *, now_unix_s: float) -> Certificate | Refusal:
        """The certificate, if one of these authorities issued it to a member and it is valid now."""
        try:
            certificate = parse_certificate(pem)
        except Damaged as error:
            return Refusal(reason=str(error))
        if not self.issued(pem):
            whose = f"the certificate of {certificate.name!r}"
            return Refusal(reason=f"{whose} was not issued by this cluster's authority; {JOIN_AGAIN}")
        return lapsed(certificate, now_unix_s) or certificate

    def issued(self, pem: bytes) -> bool:
        """Whether one of these authorities signed the certificate, whenever that was."""
        return any(_signed(_loaded(pem), _loaded(authority)) for authority in self.pems)

    def succeeded_by(self, successor_pem: bytes, endorsement: bytes) -> Bundle | Refusal:
        """The bundle with a new authority in front, if one that is trusted already signed for it.

        Raises:
            Damaged: the successor is no authority's certificate.
        """
        successor = Bundle.parse(successor_pem).pems
        if len(successor) != 1 or not any(_endorsed(_key(pem), successor[0], endorsement) for pem in self.pems):
            return Refusal(reason=f"no authority of this cluster has signed for the new one; {JOIN_AGAIN}")
        return self if successor[0] in self.pems else Bundle(pems=successor + self.pems)

    def without(self, revoked: AbstractSet[str]) -> Bundle:
        """The bundle less the authorities of these keys. The newest stays, so that nobody is left trusting nothing."""
        return Bundle(pems=self.pems[:1] + tuple(pem for pem in self.pems[1:] if spki_hash(_key(pem)) not in revoked))


def lapsed(certificate: Certificate, now_unix_s: float) -> Refusal | None:
    """Why the certificate does not count at this moment; None when it does."""
    if now_unix_s > certificate.not_after_unix_s:
        ended = _day(certificate.not_after_unix_s)
        return Refusal(reason=f"the certificate of {certificate.name!r} expired on {ended}; {JOIN_AGAIN}")
    if now_unix_s < certificate.not_before_unix_s:
        begins = _day(certificate.not_before_unix_s)
        clocks = "set the clocks of both machines"
        return Refusal(reason=f"the certificate of {certificate.name!r} is not valid before {begins}; {clocks}")
    return None


@lru_cache(maxsize=16)
def _loaded(pem: bytes) -> x509.Certificate:
    return parse_x509(pem)


def _der(pem: bytes) -> bytes:
    return _loaded(pem).public_bytes(serialization.Encoding.DER)


def _key(pem: bytes) -> PublicKey:
    return cast("PublicKey", _loaded(pem).public_key())


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and is_p256(certificate.public_key())


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _endorsed(key: PublicKey, successor_pem: bytes, endorsement: bytes) -> bool:
    try:
        key.verify(endorsement, _der(successor_pem), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, Damaged):
        return False
    return True


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
