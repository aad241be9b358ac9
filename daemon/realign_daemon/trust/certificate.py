"""Certificate: what a member shows, read into plain values and believed only as far as it is exactly ours."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import cast, get_args

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from realign_daemon.cluster.facts import NodeId
from realign_daemon.errors import Damaged
from realign_daemon.trust.keys import UNREADABLE, PublicKey, SpkiHash, is_p256, node_id, spki_hash
from realign_daemon.trust.roles import MemberRole
from realign_proto.handshake import MEMBER, server_name

MAX_NAME_BYTES = 64  # ub-common-name of RFC 5280
MAX_PEM_BYTES = 16 * 1024  # ours have some 900
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A member's certificate. Whether an authority signed it is the Bundle's to say."""

    pem: bytes = field(repr=False)
    spki: SpkiHash
    node_id: NodeId | None  # None for a client
    role: MemberRole
    name: str
    not_before_unix_s: float
    not_after_unix_s: float

    def is_half_way(self, now_unix_s: float) -> bool:
        """Whether it is time to renew it."""
        return now_unix_s >= (self.not_before_unix_s + self.not_after_unix_s) / 2


def parse_certificate(pem: bytes) -> Certificate:
    """What the certificate says. The node id is reckoned from the key; one that the certificate claims must agree.

    Raises:
        Damaged: it is not a certificate that an authority of realign issues to a member.
    """
    found = parse_x509(pem)
    public = found.public_key()
    if not is_p256(public):
        raise _strange("its key is not of the kind P-256")
    public = cast("PublicKey", public)
    role = _only(found.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    name = _only(found.subject, NameOID.COMMON_NAME)
    if role not in get_args(MemberRole):
        raise _strange("it names no role")
    role = cast("MemberRole", role)
    if not name or name != clean_name(name):
        raise _strange("it names nobody")
    node = node_id(public) if role == "node" else None
    if _extensions(found) != (False, purposes(role), server_names(node)):
        raise _strange(f"its names and purposes are not those of the role {role}")
    return Certificate(
        pem=pem,
        spki=spki_hash(public),
        node_id=node,
        role=role,
        name=name,
        not_before_unix_s=found.not_valid_before_utc.timestamp(),
        not_after_unix_s=found.not_valid_after_utc.timestamp(),
    )


def parse_x509(pem: bytes) -> x509.Certificate:
    """The certificate in the text, whatever it says. Raises Damaged."""
    if len(pem) > MAX_PEM_BYTES:
        raise _strange(f"it is longer than {MAX_PEM_BYTES} bytes")
    try:
        return whole(x509.load_pem_x509_certificate(pem))
    except UNREADABLE as error:
        raise _strange("it cannot be read") from error


def whole(found: x509.Certificate) -> x509.Certificate:
    """The certificate, all of whose parts have been read once and so can be read later. Raises one of UNREADABLE."""
    _ = (found.public_key(), found.subject, found.issuer, found.extensions)
    _ = (found.not_valid_before_utc, found.not_valid_after_utc)
    return found


def purposes(role: MemberRole) -> frozenset[x509.ObjectIdentifier]:
    """What the key may be used for. Only a node's may answer as a server."""
    client = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH})
    return client | {ExtendedKeyUsageOID.SERVER_AUTH} if role == "node" else client


def server_names(node: NodeId | None) -> tuple[str, ...]:
    """The names that the holder may answer under; none for a client."""
    return () if node is None else (server_name(node), MEMBER)


def clean_name(text: str) -> str:
    """The text as a member's name: what can be printed, composed, without spaces around, in at most 64 bytes."""
    shown = "".join(character for character in unicodedata.normalize("NFC", text) if character.isprintable())
    return shown.strip().encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip()


def _only(subject: x509.Name, kind: x509.ObjectIdentifier) -> str:
    """The one value of this kind; empty when there is none, several, or one that is no text."""
    values = [attribute.value for attribute in subject.get_attributes_for_oid(kind)]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def _extensions(found: x509.Certificate) -> tuple[bool, frozenset[x509.ObjectIdentifier], tuple[str, ...]]:
    """Whether it may sign others, its purposes and its server names."""
    try:
        extensions = found.extensions
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usage = frozenset(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound as error:
        raise _strange("its extensions cannot be read") from error
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return is_authority, usage, ()
    return is_authority, usage, tuple(str(name.value) for name in names)


def _strange(why: str) -> Damaged:
    return Damaged(f"this is not a certificate of a realign member ({why}); join the cluster with a new invitation")
