"""Member: a key that belongs to the cluster. Revocation: one that does so no more. Both as journal payloads, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from realign_daemon.engine.codec import pack, unpack
from realign_daemon.errors import Damaged
from realign_daemon.trust.certificate import Certificate, parse_certificate
from realign_daemon.trust.keys import SpkiHash

DAMAGED = (
    "an entry in the list of members is damaged; the node that sent it runs another version, or its disk is failing"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who was let in. Key, name, role and node id are the certificate's and stand nowhere else."""

    certificate: Certificate
    is_witness: bool = False
    added_by: str  # Principal.label
    added_at_unix_s: float

    @property
    def spki(self) -> SpkiHash:
        """The journal item's ref."""
        return self.certificate.spki

    def dump(self) -> bytes:
        """The journal's payload."""
        return pack(
            {
                "certificate": self.certificate.pem,
                "witness": self.is_witness,
                "added_by": self.added_by,
                "added_at": self.added_at_unix_s,
            }
        )

    @classmethod
    def load(cls, payload: bytes) -> Member:
        """What `dump` wrote; whether an authority issued its certificate is Bundle.issued's to say. Raises Damaged."""
        content = _content(payload, {"certificate": bytes, "witness": bool, "added_by": str, "added_at": float})
        return cls(
            certificate=parse_certificate(content["certificate"]),
            is_witness=content["witness"],
            added_by=content["added_by"],
            added_at_unix_s=content["added_at"],
        )

    def merge(self, other: Member) -> Member:
        """Of two entries for one key the one that all sides keep: the certificate's end decides, then the bytes."""
        return max(self, other, key=lambda member: (member.certificate.not_after_unix_s, member.dump()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A key that was put out, for ever: of a member, or of an authority that was replaced."""

    spki: SpkiHash
    reason: str
    revoked_by: str  # Principal.label
    revoked_at_unix_s: float

    def dump(self) -> bytes:
        """The journal's payload."""
        return pack({"spki": self.spki, "reason": self.reason, "by": self.revoked_by, "at": self.revoked_at_unix_s})

    @classmethod
    def load(cls, payload: bytes) -> Revocation:
        """What `dump` wrote. Raises Damaged."""
        content = _content(payload, {"spki": str, "reason": str, "by": str, "at": float})
        return cls(
            spki=SpkiHash(content["spki"]),
            reason=content["reason"],
            revoked_by=content["by"],
            revoked_at_unix_s=content["at"],
        )

    def merge(self, other: Revocation) -> Revocation:
        """Of two revocations of one key the one that all sides keep: the earlier, ties by their bytes."""
        return min(self, other, key=lambda revocation: (revocation.revoked_at_unix_s, revocation.dump()))


def _content(payload: bytes, fields: dict[str, type]) -> dict[str, Any]:
    """The fields of a payload, each of its type; others, which a newer version may have added, are left out."""
    try:
        content: Any = unpack(payload)
        found = {name: content[name] for name in fields}
    except (ValueError, TypeError, LookupError) as error:
        raise Damaged(DAMAGED) from error
    if any(type(found[name]) is not kind for name, kind in fields.items()):
        raise Damaged(DAMAGED)
    return found
