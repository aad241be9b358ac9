"""Trust servicer: who belongs to the cluster, over the wire."""
# ruff: noqa: ARG002, N802 - gRPC passes a request and a context to every method; the names are the wire's

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import grpc.aio

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.errors import WrongState
from realign_daemon.rpc.caller import caller
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.holder import CALL_TIMEOUT_S, Holder
from realign_daemon.rpc.homes import is_forwarded, passed_on, passing_on
from realign_daemon.trust.audit import AuditLine, AuditTrail
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.member import Member
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.trust import Trust
from realign_proto.v1 import trust_pb2 as pb
from realign_proto.v1.trust_pb2_grpc import TrustServicer as TrustService
from realign_proto.v1.trust_pb2_grpc import TrustStub, add_TrustServicer_to_server

if TYPE_CHECKING:
    from realign_proto.v1.trust_pb2_grpc import TrustAsyncStub

TTL_S = 3600.0  # of an invitation for which nobody said
LINES = 100  # of the audit when nobody said how many
MOST_LINES = 5_000  # in one message: some 2 MB

T = TypeVar("T")


class JoinPort(Protocol):
    """See rpc.join_ports.JoinPorts."""

    async def open(self) -> tuple[Address, ...]:
        """Where those who join ask."""
        ...


class Operator(Protocol):
    """What an operator's word does beyond the list of members."""

    async def enrol(self, token: str, address: str) -> None:
        """Takes this daemon into the cluster of the token. Raises RealignError."""
        ...

    async def remove_dead(self, reference: str) -> None:
        """Takes a lost node out. Raises RealignError."""
        ...

    async def transfer(self, reference: str) -> None:
        """Has that node lead instead of this one, or for an empty reference whoever ranks best. Raises RealignError."""
        ...


class TrustServicer(TrustService):
    """Thin: converts, and passes on what only the authority's holder can do."""

    def __init__(
        self,
        trust: Trust,
        registrar: Registrar,
        *,
        holder: Holder,
        join_port: JoinPort,
        operator: Operator,
        leader: Callable[[], grpc.aio.Channel | None],
        audit: AuditTrail,
        clock: Clock,
    ) -> None:
        """`leader` is None when this node leads, or nobody."""
        self._trust = trust
        self._registrar = registrar
        self._holder = holder
        self._join_port = join_port
        self._operator = operator
        self._leader = leader
        self._audit = audit
        self._clock = clock

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_TrustServicer_to_server(self, server)

    async def Found(self, request: pb.FoundRequest, context: Context) -> pb.TrustState:
        """A new cluster, with this daemon alone in it."""
        await self._trust.found(request.name)
        return self._state()

    async def EnrolNode(self, request: pb.EnrolNodeRequest, context: Context) -> pb.TrustState:
        """This daemon in the cluster of the token."""
        await self._operator.enrol(request.token, request.address)
        return self._state()

    async def Leave(self, request: pb.LeaveRequest, context: Context) -> pb.TrustState:
        """This daemon alone again."""
        await self._trust.leave()
        return self._state()

    async def GetTrust(self, request: pb.TrustRequest, context: Context) -> pb.TrustState:
        """As this node knows it."""
        return self._state()

    async def Invite(self, request: pb.InviteRequest, context: Context) -> pb.InviteReply:
        """A token."""
        if not self._registrar.holds:
            return await self._at_holder(
                context,
                lambda stub: stub.Invite(request, timeout=CALL_TIMEOUT_S, metadata=passing_on(self._trust.spki)),
            )
        ttl_s = request.ttl_s or TTL_S
        token = self._registrar.invite(role=request.role, name=request.name, ttl_s=ttl_s, by=caller())
        addresses = await self._join_port.open()
        return pb.InviteReply(
            token=token.text(),
            addresses=[str(address) for address in addresses],
            expires_unix_s=self._clock.unix() + ttl_s,
        )

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.TrustState:
        """The cluster without that member."""
        self._must_be_in_a_cluster()
        await self._trust.revoke(request.member, reason=request.reason, by=caller())
        return self._state()

    async def RemoveDead(self, request: pb.RemoveDeadRequest, context: Context) -> pb.TrustState:
        """The cluster without that node."""
        self._must_be_in_a_cluster()
        await self._operator.remove_dead(request.node)
        return self._state()

    async def Renew(self, request: pb.RenewRequest, context: Context) -> pb.RenewReply:
        """A new certificate for the caller's key."""
        if not self._registrar.holds:
            return await self._at_holder(
                context,
                lambda stub: stub.Renew(request, timeout=CALL_TIMEOUT_S, metadata=passing_on(self._trust.spki)),
            )
        certificate, bundle = await self._registrar.renew(request.csr_pem, caller())
        return pb.RenewReply(certificate_pem=certificate.pem, authorities_pem=bundle.pems)

    async def RotateAuthority(self, request: pb.RotateRequest, context: Context) -> pb.TrustState:
        """Two authorities, or one again."""
        if not self._registrar.holds:
            return await self._at_holder(
                context,
                lambda stub: stub.RotateAuthority(
                    request, timeout=CALL_TIMEOUT_S, metadata=passing_on(self._trust.spki)
                ),
            )
        await (self._registrar.finish(caller()) if request.finish else self._registrar.rotate())
        return self._state()

    async def Transfer(self, request: pb.TransferRequest, context: Context) -> pb.TrustState:
        """Another leader."""
        leader = None if is_forwarded(context) else self._leader()
        if leader is not None:
            call = TrustStub(leader).Transfer(request, timeout=CALL_TIMEOUT_S, metadata=passing_on(self._trust.spki))
            return await passed_on(call)
        await self._operator.transfer(request.node)
        return self._state()

    async def ReadAudit(self, request: pb.AuditRequest, context: Context) -> pb.AuditReply:
        """The last lines of this node's audit, and whether all of it is as it was written."""
        lines = await self._audit.last(min(request.last or LINES, MOST_LINES))
        return pb.AuditReply(
            lines=[_line_to_wire(line) for line in lines], unbroken=await self._audit.broken_at() is None
        )

    async def _at_holder(self, context: Context, call: Callable[[TrustAsyncStub], Awaitable[T]]) -> T:
        self._must_be_in_a_cluster()
        if is_forwarded(context):
            self._registrar.must_hold()
        return await self._holder.ask(call)

    def _must_be_in_a_cluster(self) -> None:
        if not self._trust.cluster:
            raise WrongState("this daemon is in no cluster; found one with `realignctl cluster init`, or join one")

    def _state(self) -> pb.TrustState:
        trust = self._trust
        if not trust.cluster:
            return pb.TrustState()
        digests = [digest.hex() for digest in trust.members.bundle.digests]
        return pb.TrustState(
            cluster=trust.cluster,
            authority_sha256=digests[0],
            members=[_member_to_wire(member, holder=trust.holder) for member in trust.members.all()],
            invitations=trust.invitations.outstanding,
            authorities=digests,
        )


def _member_to_wire(member: Member, *, holder: SpkiHash | None) -> pb.MemberKey:
    certificate = member.certificate
    return pb.MemberKey(
        spki_sha256=member.spki,
        node_id=certificate.node_id or "",
        name=certificate.name,
        role=certificate.role,
        not_after_unix_s=certificate.not_after_unix_s,
        holds_authority=member.spki == holder,
        witness=member.is_witness,
    )


def _line_to_wire(line: AuditLine) -> pb.AuditLine:
    deed = line.deed
    return pb.AuditLine(
        seq=line.seq,
        at_unix_s=line.at_unix_s,
        actor=deed.actor,
        role=deed.role,
        method=deed.method,
        object=deed.object,
        outcome=deed.outcome,
        hash=line.hash,
    )
