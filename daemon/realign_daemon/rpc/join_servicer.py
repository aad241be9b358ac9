"""Join servicers: let those in who have an invitation. They answer on listeners of their own; see join_ports."""
# ruff: noqa: ARG002, N802 - gRPC passes a request and a context to every method; the names are the wire's

from __future__ import annotations

from collections.abc import Callable

import grpc.aio

from realign_daemon.clock import Clock
from realign_daemon.cluster.addresses import Address
from realign_daemon.errors import RealignError
from realign_daemon.rpc.auditing import record
from realign_daemon.rpc.context import Context
from realign_daemon.trust.audit import AuditTrail, Deed
from realign_daemon.trust.denials import Denials
from realign_daemon.trust.principal import label
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.trust import Trust
from realign_proto.v1 import trust_pb2 as pb
from realign_proto.v1.trust_pb2_grpc import (
    JoinPortServicer as JoinPortService,
)
from realign_proto.v1.trust_pb2_grpc import (
    JoinServicer as JoinService,
)
from realign_proto.v1.trust_pb2_grpc import (
    add_JoinPortServicer_to_server,
    add_JoinServicer_to_server,
)

ENROL = "/realign.v1.Join/Enrol"


class JoinPortServicer(JoinPortService):
    """In the clear: tells whoever asks what the asker then checks."""

    def __init__(self, authority_pem: bytes, tls_port: int) -> None:
        self._reply = pb.DescribeReply(authority_pem=authority_pem, tls_port=tls_port)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_JoinPortServicer_to_server(self, server)

    async def Describe(self, request: pb.DescribeRequest, context: Context) -> pb.DescribeReply:
        """The authority, and where to go on."""
        return self._reply


class JoinServicer(JoinService):
    """Under TLS, with a server that the asker has checked by the token."""

    def __init__(
        self,
        trust: Trust,
        registrar: Registrar,
        *,
        audit: AuditTrail,
        addresses: Callable[[], tuple[Address, ...]],
        clock: Clock,
    ) -> None:
        """`addresses` are those of all nodes of the cluster."""
        self._trust = trust
        self._registrar = registrar
        self._audit = audit
        self._addresses = addresses
        self._clock = clock
        self._denials = Denials()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_JoinServicer_to_server(self, server)

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.EnrolReply:
        """A certificate, and what a member must know."""
        try:
            member, enrolled = await self._registrar.enrol(
                secret=request.secret, request_pem=request.csr_pem, name=request.name, is_witness=request.witness
            )
        except RealignError as error:
            deed = Deed(actor="stranger", role="", method=ENROL, object=context.peer(), outcome=str(error))
            await self._record(self._denials.note(deed, now_s=self._clock.continuous()))
            raise
        certificate = member.certificate
        actor = label(certificate.name, member.spki)
        await self._record(Deed(actor=actor, role=certificate.role, method=ENROL, object=member.added_by))
        return pb.EnrolReply(
            certificate_pem=certificate.pem,
            authorities_pem=enrolled.bundle.pems,
            members=enrolled.members,
            revocations=enrolled.revocations,
            cluster=self._trust.cluster,
            addresses=[str(address) for address in self._addresses()],
        )

    async def _record(self, deed: Deed | None) -> None:
        if deed is not None:
            await record(self._audit, deed)
