"""Host servicer: takes the owner's word that this machine is to pause, and that it is to work again."""
# ruff: noqa: ARG002 - gRPC passes a request and a context to every method

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import grpc.aio

from realign_daemon.cluster.facts import NodeFacts
from realign_daemon.errors import BadInput
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.convert import facts_to_wire
from realign_proto.v1 import facts_pb2, host_pb2
from realign_proto.v1.host_pb2_grpc import HostServicer as HostService
from realign_proto.v1.host_pb2_grpc import add_HostServicer_to_server


class Pausing(Protocol):
    """See host.steward.Steward."""

    async def pause(self, seconds: float | None) -> None:
        """For so long, or until resumed."""
        ...

    async def resume(self) -> None:
        """Takes work again."""
        ...


class HostServicer(HostService):
    """Thin: checks, passes on, and answers with the facts afterwards."""

    def __init__(self, pausing: Pausing, facts: Callable[[], NodeFacts]) -> None:
        self._pausing = pausing
        self._facts = facts

    def add_to(self, server: grpc.aio.Server) -> None:
        """Makes the server answer with this."""
        add_HostServicer_to_server(self, server)

    async def PauseNode(  # noqa: N802 - the wire's name
        self, request: host_pb2.PauseNodeRequest, context: Context
    ) -> facts_pb2.NodeFacts:
        """Returns once the pause would survive a power cut; what runs may still run for its grace."""
        seconds = request.seconds if request.HasField("seconds") else None
        if seconds is not None and not 0 < seconds < math.inf:
            raise BadInput("a pause lasts more than no time; give a length such as 2h, or none to pause until resumed")
        await self._pausing.pause(seconds)
        return facts_to_wire(self._facts())

    async def ResumeNode(  # noqa: N802 - the wire's name
        self, request: host_pb2.ResumeNodeRequest, context: Context
    ) -> facts_pb2.NodeFacts:
        """Does nothing to a node that is not paused."""
        await self._pausing.resume()
        return facts_to_wire(self._facts())
