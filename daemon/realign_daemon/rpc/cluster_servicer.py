"""Cluster servicer: answers other nodes for this node's view of the cluster."""
# ruff: noqa: ARG002 - gRPC passes a request and a context to every method

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc.aio

from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.cluster.greeting import welcome
from realign_daemon.cluster.peers import received
from realign_daemon.cluster.timing import DEFAULT, Timing
from realign_daemon.cluster.view import ClusterView
from realign_daemon.errors import Incompatible, NotAllowed
from realign_daemon.rpc.caller import must_be
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.convert import beat_to_wire, facts_to_wire, greeting_from_wire, welcome_to_wire
from realign_proto.v1 import cluster_pb2, facts_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterServicer as ClusterService
from realign_proto.v1.cluster_pb2_grpc import add_ClusterServicer_to_server

MAX_ECHO_BYTES = 2**20

Measure = Callable[[str, bool], Awaitable[NodeFacts]]  # registry name or "", force -> this node's facts afterwards


class ClusterServicer(ClusterService):
    """Thin: converts and passes on."""

    def __init__(self, view: ClusterView, measure: Measure, *, timing: Timing = DEFAULT) -> None:
        self._view = view
        self._measure = measure
        self._timing = timing

    def add_to(self, server: grpc.aio.Server) -> None:
        """Makes the server answer with this."""
        add_ClusterServicer_to_server(self, server)

    async def Hello(  # noqa: N802 - the wire's name
        self, request: cluster_pb2.HelloRequest, context: Context
    ) -> cluster_pb2.HelloReply:
        """This node's answer. Raises Incompatible when the two do not get on."""
        theirs = greeting_from_wire(request)
        must_be(theirs.node)
        try:
            answer = welcome(self._view.greeting(), theirs)
        except Incompatible as error:
            self._view.turned_away(theirs, str(error))
            raise
        self._view.met(theirs.node, theirs.addresses)
        return welcome_to_wire(answer)

    async def Heartbeat(  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[cluster_pb2.Beat], context: Context
    ) -> AsyncIterator[cluster_pb2.Beat]:
        """Beats in, beats out, until the other node ends it or falls silent. Raises NotAllowed before a Hello."""
        beats = received(request_iterator, timeout_s=self._timing.dead_s, is_news=self._view.is_news)
        first = await anext(beats, None)
        if first is None:
            return
        must_be(first.node)
        if not self._view.has_met(first.node):
            message = f"node {first.node} must say Hello before it sends beats"
            raise NotAllowed(message)
        self._view.heard(first)
        listener = asyncio.create_task(self._listen(first.node, beats), name=f"cluster.listen {first.node}")
        try:
            with self._view.talking(first.node):
                async for beat in self._view.beats():
                    if listener.done():
                        break
                    yield beat_to_wire(beat)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def Measure(  # noqa: N802 - the wire's name
        self, request: cluster_pb2.MeasureRequest, context: Context
    ) -> facts_pb2.NodeFacts:
        """This node's facts with the model measured."""
        return facts_to_wire(await self._measure(request.model, request.force))

    async def Echo(  # noqa: N802 - the wire's name
        self, request: cluster_pb2.EchoRequest, context: Context
    ) -> cluster_pb2.EchoReply:
        """So many zeros."""
        return cluster_pb2.EchoReply(payload=bytes(min(request.reply_bytes, MAX_ECHO_BYTES)))

    async def _listen(self, node: NodeId, beats: AsyncIterator[Beat]) -> None:
        async for beat in beats:
            if beat.node == node:
                self._view.heard(beat)
