"""Members: everybody who may call, in memory. Every call is checked here, so that a revocation counts at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from realign_daemon.cluster.facts import NodeId
from realign_daemon.trust.bundle import Bundle, lapsed
from realign_daemon.trust.certificate import Certificate
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.member import Member, Revocation
from realign_daemon.trust.principal import Principal, Refusal, label
from realign_daemon.trust.roles import MemberRole

LEAST_KEY = 6  # characters of a key's hash or a node id by which a person may name a member
MAX_CACHED = 1024  # certificates; each had to pass TLS to get here

NEW_KEY = "join the cluster with a new invitation and a new key"
JUST_JOINED = "if it has just joined, try again in a minute"


class Members:
    """Who belongs. Filled from the database at the start, then from the journal's news."""

    def __init__(
        self, *, bundle: Bundle, members: Iterable[Member] = (), revocations: Iterable[Revocation] = ()
    ) -> None:
        self._members: dict[SpkiHash, Member] = {}
        self._revocations: dict[SpkiHash, Revocation] = {}
        self._trusted = bundle
        self._read: dict[bytes, Certificate] = {}  # by PEM: an authority that counts has signed them
        for member in members:
            self.admit(member)
        for revocation in revocations:
            self.revoke(revocation)

    @property
    def bundle(self) -> Bundle:
        """The authorities that count now."""
        return self._trusted.without(self._revocations.keys())

    def trust(self, bundle: Bundle) -> None:
        """Counts these authorities from now on, on open connections, too."""
        self._trusted = bundle
        self._read.clear()

    def admit(self, member: Member) -> None:
        """Takes in a member, or its renewed certificate. A revoked key stays out whatever comes in."""
        known = self._members.get(member.spki)
        self._members[member.spki] = member if known is None else known.merge(member)

    def revoke(self, revocation: Revocation) -> None:
        """Puts a key out for ever."""
        known = self._revocations.get(revocation.spki)
        self._revocations[revocation.spki] = revocation if known is None else known.merge(revocation)
        self._read.clear()  # the key may be an authority's

    def all(self) -> tuple[Member, ...]:
        """Everybody who belongs, by name."""
        kept = (member for member in self._members.values() if member.spki not in self._revocations)
        return tuple(sorted(kept, key=lambda member: (member.certificate.name, member.spki)))

    def revocations(self) -> tuple[Revocation, ...]:
        """Every key that was put out, the earliest first."""
        return tuple(sorted(self._revocations.values(), key=lambda one: (one.revoked_at_unix_s, one.spki)))

    def find(self, text: str) -> tuple[Member, ...]:
        """The members that a person may mean: by name, node id, or the beginning of the key's hash."""
        start = text.lower()
        return tuple(
            member
            for member in self.all()
            if member.certificate.name == text
            or (
                len(start) >= LEAST_KEY
                and (member.spki.startswith(start) or (member.certificate.node_id or "").startswith(start))
            )
        )

    def node(self, node: NodeId) -> Principal | Refusal:
        """Who answers under this node id, as TLS has proved. Refused unless it is a member that is not revoked."""
        known = next((member for member in self._members.values() if member.certificate.node_id == node), None)
        if known is None:
            return Refusal(reason=f"node {node} is not in this node's list of members; {JUST_JOINED}")
        return self._standing(known.certificate)

    def principal(self, pem: bytes, *, now_unix_s: float) -> Principal | Refusal:
        """Who shows this certificate. Refused unless it is valid, and its key a member's of that role, not revoked."""
        found = self._examined(pem, now_unix_s)
        return found if isinstance(found, Refusal) else self._standing(found)

    def on_behalf(self, caller: Principal, header: str) -> Principal | Refusal:
        """Whom a node speaks for by what `behalf_header` wrote. Only nodes are believed, and none for another node.

        The owner of another node has the rights of an admin: what is for the owner alone is done at the machine itself.
        """
        if caller.kind != "node":
            return Refusal(reason=f"{caller.label} may not speak for others; call in your own name")
        key, _, role = header.partition(":")
        member = self._members.get(SpkiHash(key))
        if member is None:
            return Refusal(reason=f"{caller.label} speaks for a key that is not known here yet; try again in a minute")
        standing = self._standing(member.certificate)
        if isinstance(standing, Refusal):
            return standing
        if standing.kind == "node" and role == "owner":
            return replace(standing, kind="owner", role="admin", name=f"owner of {standing.name}", node_id=None)
        if standing.kind == "node" or standing.role != role:
            return Refusal(reason=f"{caller.label} may not speak for {standing.label} as {role!r}; upgrade that node")
        return standing

    def enrolment(self, spki: SpkiHash, role: MemberRole) -> Refusal | None:
        """Why the key cannot be enrolled in this role; None when it can. Twice in one role is a repeat."""
        if spki in self._revocations:
            return Refusal(reason=f"this key was revoked; {NEW_KEY}")
        member = self._members.get(spki)
        if member is not None and member.certificate.role != role:
            had = member.certificate.role
            return Refusal(reason=f"this key belongs to a member with the role {had!r} already; {NEW_KEY}")
        return None

    def _examined(self, pem: bytes, now_unix_s: float) -> Certificate | Refusal:
        if pem in self._read:
            return lapsed(self._read[pem], now_unix_s) or self._read[pem]
        found = self.bundle.examine(pem, now_unix_s=now_unix_s)
        if isinstance(found, Certificate):
            if len(self._read) >= MAX_CACHED:
                self._read.clear()
            self._read[pem] = found
        return found

    def _standing(self, certificate: Certificate) -> Principal | Refusal:
        name, who = certificate.name, label(certificate.name, certificate.spki)
        revocation = self._revocations.get(certificate.spki)
        if revocation is not None:
            why = f" ({revocation.reason})" if revocation.reason else ""
            reason = f"the key of {name!r} was revoked by {revocation.revoked_by}{why}; {NEW_KEY}"
            return Refusal(reason=reason, who=who)
        member = self._members.get(certificate.spki)
        if member is None:
            return Refusal(reason=f"{name!r} is not in this node's list of members; {JUST_JOINED}", who=who)
        if member.certificate.role != certificate.role:
            shown, listed = certificate.role, member.certificate.role
            return Refusal(reason=f"{name!r} shows the role {shown!r} but was let in as {listed!r}; {NEW_KEY}", who=who)
        return Principal(
            kind="node" if certificate.role == "node" else "client",
            role=certificate.role,
            name=name,
            spki=certificate.spki,
            node_id=certificate.node_id,
        )


def behalf_header(principal: Principal, *, node: SpkiHash) -> str:
    """What a node of this key sends along to have a call judged by the rights of the one it got it from."""
    return f"{principal.spki or node}:{'owner' if principal.kind == 'owner' else principal.role}"
