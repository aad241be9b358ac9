"""Servicers of one method each, and what the contract of a call is asserted with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, cast

import grpc.aio
import pytest
from tests.contract.testing.worlds import Served

from realign_proto.v1 import cluster_pb2, curation_pb2, work_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterServicer, add_ClusterServicer_to_server
from realign_proto.v1.curation_pb2_grpc import CurationServicer, add_CurationServicer_to_server
from realign_proto.v1.work_pb2_grpc import WorkServicer, add_WorkServicer_to_server

Handler = Callable[[Any, Any], Any]

EOF: Any = cast("Any", grpc.aio).EOF  # the stubs of grpc.aio leave it out


def served(add_to_server: Callable[[Any, Any], None], service: Any, **more: Any) -> Served:
    """A server of this class, which need not have every method."""
    return Served(services=[partial(add_to_server, service())], **more)


def hello(handler: Handler, **more: Any) -> Served:
    """A server whose unary method is this."""

    class Service(ClusterServicer):
        async def Hello(self, request: Any, context: Any) -> cluster_pb2.HelloReply:
            return await handler(request, context)

    return served(add_ClusterServicer_to_server, Service, **more)


def heartbeat(handler: Handler) -> Served:
    """A server whose method with streams both ways is this."""

    class Service(ClusterServicer):
        async def Heartbeat(self, request_iterator: Any, context: Any) -> AsyncIterator[cluster_pb2.Beat]:
            async for beat in handler(request_iterator, context):
                yield beat

    return served(add_ClusterServicer_to_server, Service)


def fetch(handler: Handler) -> Served:
    """A server whose method with a stream of replies is this."""

    class Service(WorkServicer):
        async def FetchBlob(self, request: Any, context: Any) -> AsyncIterator[work_pb2.BlobChunk]:
            async for chunk in handler(request, context):
                yield chunk

    return served(add_WorkServicer_to_server, Service)


def submit(handler: Handler) -> Served:
    """A server whose method with a stream of requests is this."""

    class Service(CurationServicer):
        async def Submit(self, request_iterator: Any, context: Any) -> curation_pb2.SubmitReply:
            return await handler(request_iterator, context)

    return served(add_CurationServicer_to_server, Service)


def raw(channel: grpc.aio.Channel, method: str, request: bytes) -> Awaitable[bytes]:
    """A call of any name with any bytes."""
    return cast("Any", channel).unary_unary(method)(request)


async def greet(request: cluster_pb2.HelloRequest, _context: object) -> cluster_pb2.HelloReply:
    return cluster_pb2.HelloReply(name=f"hello {request.name}")


async def echo(beats: AsyncIterator[cluster_pb2.Beat], _context: object) -> AsyncIterator[cluster_pb2.Beat]:
    async for one in beats:
        yield one


def beat(number: int = 0, text: str = "") -> cluster_pb2.Beat:
    return cluster_pb2.Beat(sequence=number, node_id=text)


async def failure(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


class Patient:
    """A handler that waits for ever and can be seen to begin and to end. `renew` it in each loop."""

    def renew(self) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()

    async def handle(self, *_: object) -> Any:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
