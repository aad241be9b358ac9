"""Registrar: what the node that holds the authority's key does: lets members in, renews their certificates."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast, get_args

from realign_daemon.clock import Clock
from realign_daemon.errors import BadInput, NotFound, WrongState
from realign_daemon.trust.authority import BACKDATED_S, Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate, parse_certificate
from realign_daemon.trust.invitation import Invitation
from realign_daemon.trust.keys import PublicKey, requested_key, spki_hash
from realign_daemon.trust.member import Member, Revocation
from realign_daemon.trust.principal import Principal
from realign_daemon.trust.roles import MemberRole
from realign_daemon.trust.shared_facts import Succession
from realign_daemon.trust.trust import Enrolled, Trust
from realign_proto.token import Token


class Registrar:
    """Every method raises NotFound where the key is on another node."""

    def __init__(self, trust: Trust, clock: Clock) -> None:
        self._trust = trust
        self._clock = clock
        self._rotating = asyncio.Lock()

    @property
    def holds(self) -> bool:
        """Whether this node holds the authority's key."""
        return self._trust.holdings.authority is not None

    def invite(self, *, role: str, name: str, ttl_s: float, by: Principal) -> Token:
        """A token for one new member. Raises BadInput."""
        authority = self._authority()
        if role not in get_args(MemberRole):
            raise BadInput(f"there is no role {role!r}; choose one of {', '.join(get_args(MemberRole))}")
        return self._trust.invitations.invite(
            authority_sha256=authority.bundle.digests[0],
            role=cast("MemberRole", role),
            name=name,
            by=by.label,
            ttl_s=ttl_s,
        )

    async def enrol(self, *, secret: str, request_pem: bytes, name: str, is_witness: bool) -> tuple[Member, Enrolled]:
        """Lets somebody in who has a secret. Nothing of the request counts but its key.

        Raises:
            NotAllowed: the secret is wrong, was used, or has expired.
            BadInput: the request is no certificate request; the invitation is still good.
            WrongState: this key cannot be let in, another one can; the invitation is still good.
        """
        authority = self._authority()

        def fitting(invitation: Invitation) -> PublicKey:
            public = requested_key(request_pem)
            unfit = self._trust.members.enrolment(spki_hash(public), invitation.role)
            if unfit is not None:
                raise WrongState(unfit.reason)
            return public

        invitation, public = await self._trust.invitations.redeem(secret, fitting)
        member = self._issued(authority, public, invitation, name=name, is_witness=is_witness)
        try:
            await self._trust.keep_member(member)
        except Exception:
            self._trust.invitations.put_back(secret, invitation)
            raise
        members, revocations = self._trust.payloads()
        bundle = self._trust.members.bundle
        return member, Enrolled(certificate=member.certificate, bundle=bundle, members=members, revocations=revocations)

    async def renew(self, request_pem: bytes, caller: Principal) -> tuple[Certificate, Bundle]:
        """A certificate for another year, for the key that the caller has shown.

        Raises:
            BadInput: the request is for another key: a new key needs a new invitation.
            NotFound: the caller is no member.
            WrongState: the newest authority's key is not in place; a certificate of the one before would not last.
        """
        public = requested_key(request_pem)
        if spki_hash(public) != caller.spki:
            raise BadInput("a certificate is renewed for the key that asks; a new key joins with a new invitation")
        return await self.renew_own(public)

    async def renew_own(self, public: PublicKey) -> tuple[Certificate, Bundle]:
        """The same for a key whose owner is known to be the one who asks."""
        authority = await self._newest()
        spki = spki_hash(public)
        known = next((member for member in self._trust.members.all() if member.spki == spki), None)
        if known is None:
            raise NotFound("only members have their certificates renewed; join with an invitation")
        # It must end later than the one before, or the other nodes would keep that.
        now = max(self._clock.unix(), known.certificate.not_before_unix_s + BACKDATED_S + 1)
        pem = authority.issue(public, role=known.certificate.role, name=known.certificate.name, now_unix_s=now)
        certificate = parse_certificate(pem)
        await self._trust.keep_member(replace(known, certificate=certificate))
        return certificate, self._trust.members.bundle

    async def rotate(self) -> None:
        """Begins the change to a new authority: from now on both count, and members renew at their next look.

        Cut short at whatever step, it is ended by the next start or the next call that needs it, or begun anew by this.

        Raises:
            WrongState: one is under way.
        """
        async with self._rotating:
            old = await self._newest()
            if len(self._trust.members.bundle.pems) > 1:
                raise WrongState(
                    "a change of the authority is under way; end it with `rotate-authority --finish` first"
                )
            # One that was made before may have been told of, so that no other may take its place.
            new = self._trust.holdings.successor or Authority.found(self._trust.cluster, now_unix_s=self._clock.unix())
            # First its key, which nobody can do without once it is trusted; then for the others to find, as once the
            # old key is gone nobody can sign for the new one.
            await self._trust.keep_successor(new)
            endorsement = old.endorse(new.pem)
            await self._trust.keep_succession(Succession(pem=new.pem, endorsement=endorsement, holder=self._trust.spki))
            await self._trust.load()

    async def finish(self, by: Principal) -> None:
        """Ends the change: the old authority counts no more.

        Raises:
            WrongState: none is under way, its key is not in place, or some would be left outside, as they have not
                renewed yet.
        """
        newest = (await self._newest()).bundle
        old = self._trust.members.bundle.keys[1:]
        if not old:
            raise WrongState("no change of the authority is under way; begin one with `rotate-authority`")
        late = [m.certificate.name for m in self._trust.members.all() if not newest.issued(m.certificate.pem)]
        if late:
            raise WrongState(
                f"{', '.join(late)} would be left outside, having no certificate of the new authority yet; nodes get "
                "one within minutes of being reachable, clients at their next command; or revoke them"
            )
        at = self._clock.unix()
        for key in old:
            reason = "the authority was replaced"
            await self._trust.keep_revocation(
                Revocation(spki=key, reason=reason, revoked_by=by.label, revoked_at_unix_s=at)
            )

    def must_hold(self) -> None:
        """Raises NotFound where `holds` is False."""
        self._authority()

    def _authority(self) -> Authority:
        authority = self._trust.holdings.authority
        if authority is None:
            raise NotFound("the key of the cluster's authority is on another node, which cannot be reached now")
        return authority

    async def _newest(self) -> Authority:
        """The authority held here, if it is the newest that members trust. Raises WrongState when it is not."""
        if self._authority().pem != self._trust.members.bundle.pems[0]:
            await self._trust.load()  # the end of a change that a full disk held up
        authority = self._authority()
        if authority.pem != self._trust.members.bundle.pems[0]:
            raise WrongState(
                "the cluster trusts a new authority whose key is not in place on the node that should hold it; free "
                "some space on that node's disk and try again, or restore its folder DATA_DIR/trust from a backup"
            )
        return authority

    def _issued(
        self, authority: Authority, public: PublicKey, invitation: Invitation, *, name: str, is_witness: bool
    ) -> Member:
        now = self._clock.unix()
        pem = authority.issue(public, role=invitation.role, name=invitation.name or name, now_unix_s=now)
        return Member(
            certificate=parse_certificate(pem),
            is_witness=is_witness and invitation.role == "node",
            added_by=f"invitation of {invitation.by}",
            added_at_unix_s=now,
        )
