"""Holder: the node that holds the authority's key, asked from another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from realign_daemon.errors import Unreachable
from realign_daemon.rpc.faults import error_of_call
from realign_daemon.rpc.homes import FORWARDED
from realign_daemon.trust.bundle import Bundle
from realign_daemon.trust.certificate import Certificate, parse_certificate
from realign_proto.v1 import trust_pb2 as pb
from realign_proto.v1.trust_pb2_grpc import TrustStub

if TYPE_CHECKING:
    from realign_proto.v1.trust_pb2_grpc import TrustAsyncStub

CALL_TIMEOUT_S = 10.0

# How a node says that it does not hold the key, or says nothing.
_NOT_THERE = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNIMPLEMENTED,
)

T = TypeVar("T")


class Holder:
    """Asks one connected node after the other: there are few, and which one holds the key is nobody's secret."""

    def __init__(self, others: Callable[[], Sequence[grpc.aio.Channel]]) -> None:
        self._others = others

    async def ask(self, call: Callable[[TrustAsyncStub], Awaitable[T]]) -> T:
        """What the holder answers; its refusal comes back as it was. The call must not be passed on by whom it reaches.

        Raises:
            Unreachable: no connected node holds the key.
        """
        for channel in self._others():
            try:
                return await call(TrustStub(channel))
            except grpc.aio.AioRpcError as error:
                if error.code() not in _NOT_THERE:
                    raise error_of_call(error) from error
        raise Unreachable(
            "the node that holds the key of the cluster's authority cannot be reached; start it, or wait for it"
        )

    async def renew(self, request_pem: bytes) -> tuple[Certificate, Bundle]:
        """A new certificate for this node's key. Raises RealignError."""
        request = pb.RenewRequest(csr_pem=request_pem)
        metadata = ((FORWARDED, "1"),)
        reply = await self.ask(lambda stub: stub.Renew(request, timeout=CALL_TIMEOUT_S, metadata=metadata))
        return parse_certificate(reply.certificate_pem), Bundle.parse(b"".join(reply.authorities_pem))
