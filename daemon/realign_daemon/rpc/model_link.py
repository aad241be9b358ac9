"""Model link: models of other nodes over gRPC: their files for this one, and a word to them to fetch one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

import grpc.aio

from realign_daemon.engine.api import ModelId, Sha256
from realign_daemon.models.arrival import Arrived, Wanted
from realign_daemon.models.manifest import Manifest, ModelFile
from realign_daemon.rpc.faults import error_of_call
from realign_proto.v1 import models_pb2 as pb
from realign_proto.v1.models_pb2_grpc import ModelsStub

if TYPE_CHECKING:
    from realign_proto.v1.models_pb2_grpc import ModelsAsyncStub

DESCRIBE_TIMEOUT_S = 180.0  # the node hashes files first that have changed; it goes on with that when it is given up
PIECE_TIMEOUT_S = 60.0  # of one piece of 1 MiB; a machine whose lid was closed is given up then
PULL_SILENCE_S = 240.0  # a look-up on the hub takes 180 s at most

T = TypeVar("T")
ChannelOf = Callable[[], grpc.aio.Channel | None]


class RemoteCopy:
    """See models.pulls.Copy."""

    def __init__(self, *, node: str, model: ModelId, channel: ChannelOf) -> None:
        """`node` is its name; `channel` gives None while it is not connected."""
        self.node = node
        self.model = model
        self._channel = channel

    async def manifest(self) -> Manifest:
        """See Copy."""
        try:
            stub = _stub(self._channel(), self.node)
            files = await stub.DescribeModel(pb.ModelRef(sha256=self.model), timeout=DESCRIBE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(_reason(error, self.node)) from error
        return Manifest(
            name=files.name,
            revision=files.revision,
            files=tuple(
                ModelFile(name=file.name, sha256=Sha256(file.sha256), size_bytes=file.size_bytes)
                for file in files.files
            ),
        )

    async def read(self, file: str, offset: int) -> AsyncGenerator[bytes]:
        """See Copy."""
        request = pb.ModelFileRequest(sha256=self.model, file=file, offset=offset)
        call = _stub(self._channel(), self.node).ReadModelFile(request)
        try:
            pieces = aiter(call)
            while (piece := await _next(pieces, PIECE_TIMEOUT_S)) is not None:
                yield piece.data
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            raise ConnectionError(_reason(error, self.node)) from error
        finally:
            call.cancel()


async def have_pulled(channel: grpc.aio.Channel | None, *, node: str, wanted: Wanted) -> AsyncGenerator[Arrived]:
    """How it goes while a node fetches a model, until the model is there.

    Raises:
        ConnectionError: the node can't be reached.
        RealignError: it could not fetch the model; its own words.
    """
    request = pb.PullModelRequest(name=wanted.name, revision=wanted.revision, sha256=wanted.model or "")
    call = _stub(channel, node).PullModel(request)
    try:
        events = aiter(call)
        while (wire := await _next(events, PULL_SILENCE_S)) is not None:
            yield Arrived(
                source=wire.source,
                bytes_done=wire.bytes_done,
                bytes_total=wire.bytes_total,
                bytes_per_s=wire.bytes_per_s,
            )
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED):
            raise ConnectionError(_reason(error, node)) from error
        raise error_of_call(error) from error
    except TimeoutError as error:
        raise ConnectionError(_reason(error, node)) from error
    finally:
        call.cancel()


async def _next(stream: AsyncIterator[T], timeout_s: float) -> T | None:
    """The next message; None after the last one. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        return await anext(stream, None)


def _stub(channel: grpc.aio.Channel | None, node: str) -> ModelsAsyncStub:
    if channel is None:
        raise ConnectionError(f"{node} is not connected")
    return ModelsStub(channel)


def _reason(error: grpc.aio.AioRpcError | TimeoutError, node: str) -> str:
    details = error.details() if isinstance(error, grpc.aio.AioRpcError) else "it said nothing for too long"
    return details or f"{node} can't be reached"
