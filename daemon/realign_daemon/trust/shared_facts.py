"""Shared facts: what all nodes of a cluster come to hold of who belongs to it, as the journal carries it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import structlog

from realign_daemon.engine.codec import pack, unpack
from realign_daemon.errors import Damaged
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.member import DAMAGED, Member, Revocation

log = structlog.get_logger()

MEMBER, REVOCATION, AUTHORITY = "member", "revocation", "authority"  # kinds of the journal

T = TypeVar("T")


class SharedFacts(Protocol):
    """Where they are kept, and come in from other nodes."""

    async def put(self, kind: str, ref: str, payload: bytes) -> None:
        """Keeps it, durably, as `merges` says where there is one of this ref, and tells other nodes."""
        ...

    async def all(self, kind: str) -> Mapping[str, bytes]:
        """The payloads of a kind, by ref."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """An item after each time that something may have come in from another node."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """An authority, signed for by the one before it (by none: the first), and the key of the node that holds it."""

    pem: bytes = field(repr=False)
    endorsement: bytes = field(default=b"", repr=False)
    holder: SpkiHash

    @property
    def ref(self) -> str:
        """Of its content: no entry that somebody else makes up can take this one's place."""
        return hashlib.sha256(self.dump()).hexdigest()

    def dump(self) -> bytes:
        """The journal's payload."""
        return pack({"pem": self.pem, "endorsement": self.endorsement, "holder": self.holder})

    @classmethod
    def load(cls, payload: bytes) -> Succession:
        """What `dump` wrote. Raises Damaged."""
        try:
            content: Any = unpack(payload)
            pem, endorsement, holder = content["pem"], content["endorsement"], content["holder"]
        except (ValueError, TypeError, LookupError) as error:
            raise Damaged(DAMAGED) from error
        if (type(pem), type(endorsement), type(holder)) != (bytes, bytes, str):
            raise Damaged(DAMAGED)
        return cls(pem=pem, endorsement=endorsement, holder=SpkiHash(holder))


Issued = Callable[[bytes], bool]  # see Bundle.issued
Merge = Callable[[str, bytes, bytes | None], bytes]  # ref, what came, what is here -> what stays, on every node alike


def merges(issued: Issued) -> Mapping[str, Merge]:
    """For each kind what becomes of two payloads of one ref, in whatever order they come.

    Each raises Damaged when what came is no thing of this kind and ref, or a member that no authority let in.
    """

    def member(ref: str, came: bytes, held: bytes | None) -> bytes:
        found = Member.load(came)
        if found.spki != ref or not issued(found.certificate.pem):
            raise Damaged(DAMAGED)
        return (found if held is None else Member.load(held).merge(found)).dump()

    def revocation(ref: str, came: bytes, held: bytes | None) -> bytes:
        found = Revocation.load(came)
        if found.spki != ref:
            raise Damaged(DAMAGED)
        return (found if held is None else Revocation.load(held).merge(found)).dump()

    def authority(ref: str, came: bytes, _held: bytes | None) -> bytes:
        found = Succession.load(came)
        if found.ref != ref:
            raise Damaged(DAMAGED)
        return found.dump()

    return {MEMBER: member, REVOCATION: revocation, AUTHORITY: authority}


def readable(payloads: Mapping[str, bytes], load: Callable[[bytes], T]) -> tuple[T, ...]:
    """The facts in the payloads; one that cannot be read is passed over, and the log says so."""
    found: list[T] = []
    for ref, payload in payloads.items():
        try:
            found.append(load(payload))
        except Damaged as error:
            log.warning("trust.unreadable", ref=ref, reason=str(error))
    return tuple(found)
