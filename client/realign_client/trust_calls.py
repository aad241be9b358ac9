"""Trust calls: who belongs to the cluster, asked of one of its nodes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import grpc.aio

from realign_client.errors import error_of_call
from realign_proto.v1 import trust_pb2 as pb
from realign_proto.v1.trust_pb2_grpc import TrustStub

CALL_TIMEOUT_S = 35.0  # a node asks the authority's holder, and enrolling waits for Bonjour

T = TypeVar("T")


class TrustCalls:
    """Every call raises a ClientError that says what happened."""

    def __init__(self, channel: grpc.aio.Channel, target: str) -> None:
        self._stub = TrustStub(channel)
        self._target = target

    async def state(self) -> pb.TrustState:
        """The cluster and its members, as the node knows them; an empty name where it is alone."""
        return await self._answer(self._stub.GetTrust(pb.TrustRequest(), timeout=CALL_TIMEOUT_S))

    async def found(self, name: str = "") -> pb.TrustState:
        """Founds a cluster on the node; its name is the node's where none is given."""
        return await self._answer(self._stub.Found(pb.FoundRequest(name=name), timeout=CALL_TIMEOUT_S))

    async def enrol(self, token: str, address: str = "") -> pb.TrustState:
        """Takes the node into the cluster of the token, at this address or where Bonjour says."""
        request = pb.EnrolNodeRequest(token=token, address=address)
        return await self._answer(self._stub.EnrolNode(request, timeout=CALL_TIMEOUT_S))

    async def leave(self) -> pb.TrustState:
        """Takes the node out of its cluster."""
        return await self._answer(self._stub.Leave(pb.LeaveRequest(), timeout=CALL_TIMEOUT_S))

    async def invite(self, role: str, *, ttl_s: float, name: str = "") -> pb.InviteReply:
        """A token for one new member, and where it is to be shown."""
        request = pb.InviteRequest(role=role, ttl_s=ttl_s, name=name)
        return await self._answer(self._stub.Invite(request, timeout=CALL_TIMEOUT_S))

    async def revoke(self, member: str, *, reason: str = "") -> pb.TrustState:
        """Puts a member out for ever."""
        request = pb.RevokeRequest(member=member, reason=reason)
        return await self._answer(self._stub.Revoke(request, timeout=CALL_TIMEOUT_S))

    async def remove_dead(self, node: str) -> pb.TrustState:
        """Puts a lost node out. Its jobs keep it as their home: no other node takes them over yet."""
        return await self._answer(self._stub.RemoveDead(pb.RemoveDeadRequest(node=node), timeout=CALL_TIMEOUT_S))

    async def transfer(self, node: str = "") -> pb.TrustState:
        """Has this node lead, or whoever ranks best."""
        return await self._answer(self._stub.Transfer(pb.TransferRequest(node=node), timeout=CALL_TIMEOUT_S))

    async def renew(self, request_pem: bytes) -> pb.RenewReply:
        """A new certificate for this client's key."""
        return await self._answer(self._stub.Renew(pb.RenewRequest(csr_pem=request_pem), timeout=CALL_TIMEOUT_S))

    async def rotate_authority(self, *, finish: bool = False) -> pb.TrustState:
        """Begins the change to a new authority, or ends it."""
        return await self._answer(self._stub.RotateAuthority(pb.RotateRequest(finish=finish), timeout=CALL_TIMEOUT_S))

    async def audit(self, last: int = 0) -> pb.AuditReply:
        """The last lines of the node's audit; 0: a hundred."""
        return await self._answer(self._stub.ReadAudit(pb.AuditRequest(last=last), timeout=CALL_TIMEOUT_S))

    async def _answer(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except grpc.aio.AioRpcError as failure:
            raise error_of_call(failure, self._target) from failure
