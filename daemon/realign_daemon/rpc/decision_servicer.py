"""Decision servicer: lets other nodes ask for this node's vote, each under ballots of its own, on any job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc.aio

from realign_daemon.decision.messages import Reply, Request
from realign_daemon.decision.store import DecisionStore
from realign_daemon.errors import BadInput
from realign_daemon.rpc import decision_convert as convert
from realign_daemon.rpc.caller import must_be
from realign_daemon.rpc.context import Context
from realign_proto.v1 import decision_pb2 as pb
from realign_proto.v1.decision_pb2_grpc import DecisionServicer as DecisionService
from realign_proto.v1.decision_pb2_grpc import add_DecisionServicer_to_server

Wire = TypeVar("Wire")
Read = TypeVar("Read")


class DecisionServicer(DecisionService):
    """Thin: converts and passes on."""

    def __init__(self, store: DecisionStore) -> None:
        self._store = store

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_DecisionServicer_to_server(self, server)

    async def Prepare(  # noqa: N802 - the wire's name
        self,
        request: pb.PrepareRequest,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> pb.PrepareReply:
        """A promise, a refusal, or what was decided."""
        return convert.prepare_reply_to_wire(await self._answer(_read(convert.prepare_from_wire, request)))

    async def Accept(  # noqa: N802 - the wire's name
        self,
        request: pb.AcceptRequest,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> pb.AcceptReply:
        """A vote, a refusal, or what was decided."""
        return convert.accept_reply_to_wire(await self._answer(_read(convert.accept_from_wire, request)))

    async def _answer(self, request: Request) -> Reply:
        must_be(request.ballot.node)
        return await self._store.answer(request)


def _read(from_wire: Callable[[Wire], Read], request: Wire) -> Read:
    try:
        return from_wire(request)
    except ValueError as error:
        raise BadInput(str(error)) from error
