"""Trust: this daemon's place in its cluster: what it holds, who else belongs, and how both change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.errors import Ambiguous, Damaged, NotFound, WrongState
from realign_daemon.trust.authority import Authority
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate, parse_certificate
from realign_daemon.trust.invitation import Invitations
from realign_daemon.trust.keys import PrivateKey, SpkiHash, mint_key, node_id, spki_hash
from realign_daemon.trust.member import Member, Revocation
from realign_daemon.trust.members import Members
from realign_daemon.trust.principal import Principal
from realign_daemon.trust.shared_facts import AUTHORITY, MEMBER, REVOCATION, SharedFacts, Succession, readable
from realign_daemon.trust.store import Holdings, TrustStore

log = structlog.get_logger()

FOUNDER = "founder"  # who let the first member in


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What somebody who was let in gets."""

    certificate: Certificate
    bundle: Bundle
    members: tuple[bytes, ...] = field(default=(), repr=False)  # payloads
    revocations: tuple[bytes, ...] = field(default=(), repr=False)
    addresses: tuple[Address, ...] = ()  # of nodes


class Trust:
    """Loaded once at the start; every change is on disk before it counts, and is told to all who listen."""

    def __init__(
        self, *, store: TrustStore, facts: SharedFacts, clock: Clock, node_name: str, is_witness: bool = False
    ) -> None:
        """Reads the folder. Raises BadConfig or Damaged."""
        self._store = store
        self._facts = facts
        self._clock = clock
        self._node_name = node_name
        self._is_witness = is_witness
        self._changing = asyncio.Lock()
        self._keeping = asyncio.Lock()  # files of a cluster that this daemon is in, and what is made of them
        self._heard: list[Callable[[], None]] = []
        self._moved: list[Callable[[], None]] = []
        self.holdings: Holdings = store.load()
        self.members = Members(bundle=self.holdings.bundle)
        self.successions: tuple[Succession, ...] = ()
        self.invitations = Invitations(clock)
        self.hints: tuple[Address, ...] = ()  # where nodes of the cluster were said to be when this daemon joined
        self._arriving = Bundle()  # of a cluster that this daemon is about to be in

    @property
    def node_id(self) -> NodeId:
        """This node's."""
        return node_id(self.holdings.key.public_key())

    @property
    def spki(self) -> SpkiHash:
        """The hash of this node's key."""
        return spki_hash(self.holdings.key.public_key())

    @property
    def cluster(self) -> str:
        """The cluster's name; empty when this daemon is alone."""
        return self.holdings.bundle.cluster if self.holdings.certificate else ""

    @property
    def holder(self) -> SpkiHash | None:
        """The key of the node that holds the newest authority; None while nobody has told this node."""
        newest = self.members.bundle.pems[:1]
        return next((one.holder for one in self.successions if (one.pem,) == newest), None)

    def issued(self, pem: bytes) -> bool:
        """Whether an authority that counts here signed the certificate. May be asked from any thread."""
        return self.members.bundle.issued(pem) or self._arriving.issued(pem)

    def on_news(self, heard: Callable[[], None]) -> None:
        """Calls it after members, revocations or authorities have changed."""
        self._heard.append(heard)

    def on_move(self, moved: Callable[[], None]) -> None:
        """Calls it after this daemon has come into a cluster, or out of one."""
        self._moved.append(moved)

    async def load(self) -> None:
        """Reads what is known of the members, and ends what was cut short. Before it nobody is one."""
        async with self._keeping:
            await self._take_in()

    async def run(self) -> None:
        """Follows what other nodes say, until cancelled."""
        async for _ in self._facts.changes():
            await self.load()

    async def found(self, name: str) -> None:
        """Founds a cluster with this daemon as its only member.

        Raises:
            WrongState: it is in one, or its key was revoked; then it has a new one now.
        """
        async with self._changing:
            self._must_be_alone()
            await self._must_not_be_revoked()
            now = self._clock.unix()
            authority = Authority.found(name or self._node_name, now_unix_s=now)
            public = self.holdings.key.public_key()
            pem = authority.issue(public, role="node", name=self._node_name, now_unix_s=now)
            self._arriving = authority.bundle
            founder = parse_certificate(pem)
            await self.keep_member(
                Member(certificate=founder, is_witness=self._is_witness, added_by=FOUNDER, added_at_unix_s=now)
            )
            await self.keep_succession(Succession(pem=authority.pem, holder=self.spki))
            await asyncio.to_thread(self._store.keep_founding, authority, pem)
            await self._move()

    async def join(self, enrolled: Enrolled, *, key: PrivateKey) -> None:
        """Takes this daemon into the cluster that let this key in. With another key than before it is a new node.

        Raises:
            WrongState: it is in a cluster.
        """
        async with self._changing:
            self._must_be_alone()
            self._arriving = enrolled.bundle
            for payload in enrolled.members:
                await self.keep_member(Member.load(payload))
            for payload in enrolled.revocations:
                await self._facts.put(REVOCATION, Revocation.load(payload).spki, payload)
            if key != self.holdings.key:
                await asyncio.to_thread(self._store.replace_key, key)
            await asyncio.to_thread(self._store.keep_certificate, enrolled.certificate.pem, enrolled.bundle)
            self.hints = enrolled.addresses
            await self._move()

    async def leave(self) -> None:
        """Takes this daemon out of its cluster. The others still list it until somebody revokes it.

        Raises:
            WrongState: it is in none, or holds the authority's key while there are other members.
        """
        async with self._changing:
            if self.holdings.certificate is None:
                raise WrongState("this daemon is in no cluster; there is nothing to leave")
            others = [member.certificate.name for member in self.members.all() if member.spki != self.spki]
            if self.holdings.authority is not None and others:
                raise WrongState(
                    "this daemon holds the key of the cluster's authority, without which nobody can join or renew a "
                    f"certificate; revoke {', '.join(others)} first, or stay"
                )
            await asyncio.to_thread(self._store.forget)
            await self._move()

    async def revoke(self, reference: str, *, reason: str, by: Principal) -> Member:
        """Puts a member out for ever: by name, node id, or the beginning of its key's hash.

        Raises:
            NotFound, Ambiguous: no member is meant, or several are.
            WrongState: this node itself is meant.
        """
        found = self.members.find(reference)
        if not found:
            raise NotFound(f"the cluster has no member {reference!r}; `realignctl cluster members` lists them")
        member, *others = found
        if others:
            keys = ", ".join(one.spki[:8] for one in found)
            raise Ambiguous(f"{len(found)} members are called {reference!r}; name one by its key: {keys}")
        if member.spki == self.spki:
            raise WrongState("this node cannot revoke itself; run `realignctl cluster leave` there")
        await self.keep_revocation(
            Revocation(spki=member.spki, reason=reason, revoked_by=by.label, revoked_at_unix_s=self._clock.unix())
        )
        return member

    async def keep_member(self, member: Member) -> None:
        """Keeps an entry, and tells the other nodes."""
        await self._facts.put(MEMBER, member.spki, member.dump())
        self.members.admit(member)
        self._tell()

    async def keep_revocation(self, revocation: Revocation) -> None:
        """Puts a key out, here at once, and tells the other nodes."""
        await self._facts.put(REVOCATION, revocation.spki, revocation.dump())
        self.members.revoke(revocation)
        self._tell()

    async def keep_succession(self, succession: Succession) -> None:
        """Keeps an authority, and tells the other nodes."""
        await self._facts.put(AUTHORITY, succession.ref, succession.dump())

    async def keep_certificate(self, pem: bytes, bundle: Bundle) -> None:
        """Shows a renewed certificate from now on, and trusts what the bundle adds to whom it trusts now."""
        async with self._keeping:
            if set(bundle.pems) <= set(self.members.bundle.pems):  # given before the authority was changed
                bundle = self.members.bundle
            await asyncio.to_thread(self._store.keep_certificate, pem, bundle)
            self.holdings = self._store.load()
            await self._take_in()

    async def keep_successor(self, successor: Authority) -> None:
        """Keeps an authority that is to take the place of the one held here, once it is trusted."""
        async with self._keeping:
            # In no thread: one goes on when its caller is cancelled, and would replace the key that the next one kept.
            self._store.keep_successor(successor)
            self.holdings = replace(self.holdings, successor=successor)

    def payloads(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """What a new node must know of members and of revocations."""
        return (
            tuple(member.dump() for member in self.members.all()),
            tuple(revocation.dump() for revocation in self.members.revocations()),
        )

    def _must_be_alone(self) -> None:
        if self.holdings.certificate is not None:
            raise WrongState(f"this daemon is in the cluster {self.cluster!r}; run `realignctl cluster leave` first")

    async def _must_not_be_revoked(self) -> None:
        """Whoever joins may bring the revocation along, which would put the founder out of its own cluster."""
        if any(one.spki == self.spki for one in readable(await self._facts.all(REVOCATION), Revocation.load)):
            await asyncio.to_thread(self._store.replace_key, mint_key())
            await self._move()
            raise WrongState("this node's key was revoked; it goes on as a new node with a new key: run this again")

    async def _move(self) -> None:
        self.holdings = await asyncio.to_thread(self._store.load)
        self.members = Members(bundle=self.holdings.bundle)
        self.invitations = Invitations(self._clock)
        self._arriving = Bundle()
        await self.load()
        log.info("trust.moved", cluster=self.cluster, node=self.node_id)
        for moved in tuple(self._moved):
            moved()

    async def _take_in(self) -> None:
        """Makes what is kept what counts. An entry of an earlier cluster, or that no authority let in, is nobody's."""
        if self.holdings.certificate is None:
            return
        for revocation in readable(await self._facts.all(REVOCATION), Revocation.load):
            self.members.revoke(revocation)
        self.successions = readable(await self._facts.all(AUTHORITY), Succession.load)
        await self._succeed(self.successions)
        for member in readable(await self._facts.all(MEMBER), Member.load):
            if self.members.bundle.issued(member.certificate.pem):
                self.members.admit(member)
        self._tell()

    async def _succeed(self, successions: Sequence[Succession]) -> None:
        """Trusts every authority that one which is trusted has signed for, however many steps away."""
        bundle = self.members.bundle
        while True:
            before = bundle
            for one in successions:
                try:
                    found = bundle.succeeded_by(one.pem, one.endorsement)
                except Damaged:
                    continue
                bundle = found if isinstance(found, Bundle) else bundle
            if bundle == before:
                break
        self.members.trust(bundle)
        try:
            await self._keep(bundle)
        except OSError as error:  # the ledger has all of it, for the next look
            log.warning("trust.not_kept", reason=str(error), remedy="free some space on this node's disk")

    async def _keep(self, bundle: Bundle) -> None:
        """Has the files follow, the authority's key last, which is of use to nobody before."""
        if bundle != self.holdings.bundle:
            await asyncio.to_thread(self._store.keep_bundle, bundle)
            self.holdings = replace(self.holdings, bundle=bundle)
        successor = self.holdings.successor
        if successor is not None and successor.pem in bundle.pems:
            self._store.succeed()
            self.holdings = self._store.load()
            log.info("trust.authority_replaced")

    def _tell(self) -> None:
        for heard in tuple(self._heard):
            heard()
