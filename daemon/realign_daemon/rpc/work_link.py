"""Work link: this home's connections to the executors of nodes, its own included, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from realign_daemon.engine.api import Sha256
from realign_daemon.files.partial import Partial, arriving
from realign_daemon.journal.source import TooLarge
from realign_daemon.rpc.work_convert import command_to_wire, event_from_wire
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.messages import Command, Event
from realign_proto.v1 import work_pb2 as pb
from realign_proto.v1.work_pb2_grpc import WorkStub

if TYPE_CHECKING:
    from realign_proto.v1.work_pb2_grpc import WorkAsyncStub

FETCH_TIMEOUT_S = 600.0  # a large adapter over a slow link
FETCHED = "fetched"  # the sender of what this node fetches itself

Channel = Callable[[str], grpc.aio.Channel | None]  # node id -> open channel; None when the node is not connected


class BlobGone(ConnectionError):
    """The node answers, and does not have the blob."""


class WorkLink:
    """One Attend call."""

    def __init__(self, call: grpc.aio.StreamStreamCall[pb.WorkCommand, pb.WorkEvent]) -> None:
        self._call = call

    async def send(self, command: Command) -> None:
        """Sends a command. Raises ConnectionError when the node has gone."""
        try:
            await self._call.write(command_to_wire(command))
        except grpc.aio.AioRpcError as error:
            raise ConnectionError("the node ended the connection") from error

    async def events(self) -> AsyncIterator[Event]:
        """What the node says, until it goes. Raises ConnectionError when that was not in good order."""
        try:
            async for wire in self._call:
                event = event_from_wire(wire)
                if event is not None:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(error.details() or "the node can't be reached") from error


class WorkLinks:
    """Links by node id."""

    def __init__(self, *, node_id: str, channel: Channel, blobs: BlobStore) -> None:
        self._node_id = node_id
        self._channel = channel
        self._blobs = blobs
        self._fetching: dict[Sha256, asyncio.Lock] = {}

    @asynccontextmanager
    async def connect(self, node: str) -> AsyncGenerator[WorkLink]:
        """A link that is cancelled on leaving. Raises ConnectionError when the node is not connected."""
        call = self._stub(node).Attend()
        try:
            yield WorkLink(call)
        finally:
            call.cancel()

    async def fetch_blob(self, node: str, sha256: Sha256, *, max_bytes: int | None = None) -> None:
        """Puts a blob of the node on local disk.

        Raises:
            ConnectionError: the node can't be reached, or has it no more, which is a BlobGone.
            DamagedBlob: what came is not what the name says.
            TooLarge: it has more than `max_bytes`.
        """
        if node == self._node_id:
            return
        async with self._fetching.setdefault(sha256, asyncio.Lock()):  # many units may want it at once
            if not self._blobs.has(sha256):
                await self._fetch(node, sha256, max_bytes)
        self._fetching.pop(sha256, None)

    async def _fetch(self, node: str, sha256: Sha256, max_bytes: int | None) -> None:
        path = arriving(self._blobs, FETCHED) / sha256
        partial = Partial(path, sha256)
        offset = partial.bytes_here  # a fetch that broke goes on where it stopped
        request = pb.BlobRequest(sha256=sha256, offset=offset)
        call = self._stub(node).FetchBlob(request, timeout=FETCH_TIMEOUT_S)
        try:
            async for chunk in call:
                if max_bytes is not None and chunk.size_bytes > max_bytes:
                    raise TooLarge(chunk.size_bytes)
                partial.add(offset, chunk.data)
                offset += len(chunk.data)
            await partial.check()
            await asyncio.to_thread(self._blobs.adopt, path, sha256)
        except grpc.aio.AioRpcError as error:
            reason = error.details() or "the node can't be reached"
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise BlobGone(reason) from error
            raise ConnectionError(reason) from error
        finally:
            call.cancel()

    def _stub(self, node: str) -> WorkAsyncStub:
        channel = self._channel(node)
        if channel is None:
            message = f"node {node} is not connected"
            raise ConnectionError(message)
        return WorkStub(channel)
