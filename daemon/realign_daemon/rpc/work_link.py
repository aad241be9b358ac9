"""Work link: this home's connections to the executors of nodes, its own included, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from realign_daemon.engine.api import Sha256
from realign_daemon.rpc.work_convert import command_to_wire, event_from_wire
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.messages import Command, Event
from realign_proto.v1 import work_pb2 as pb
from realign_proto.v1.work_pb2_grpc import WorkStub

if TYPE_CHECKING:
    from realign_proto.v1.work_pb2_grpc import WorkAsyncStub

FETCH_TIMEOUT_S = 600.0  # a large adapter over a slow link

Channel = Callable[[str], grpc.aio.Channel | None]  # node id -> open channel; None when the node is not connected


class WorkLink:
    """One Attend call."""

    def __init__(self, call: grpc.aio.StreamStreamCall[pb.WorkCommand, pb.WorkEvent]) -> None:
        self._call = call

    async def send(self, command: Command) -> None:
        """Sends a command. Raises ConnectionError when the node has gone."""
        try:
            await self._call.write(command_to_wire(command))
        except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
            raise ConnectionError("the node ended the connection") from error
        except asyncio.CancelledError as error:
            raise _closed_under(error) from error

    async def events(self) -> AsyncIterator[Event]:
        """What the node says, until it goes. Raises ConnectionError when that was not in good order."""
        try:
            async for wire in self._call:
                event = event_from_wire(wire)
                if event is not None:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(error.details() or "the node can't be reached") from error
        except asyncio.CancelledError as error:
            raise _closed_under(error) from error


def _closed_under(error: asyncio.CancelledError) -> BaseException:
    """A closed channel cancels its calls: that is the end of a connection, unless this task itself was cancelled."""
    task = asyncio.current_task()
    return error if task is not None and task.cancelling() else ConnectionError("the connection was closed")


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

    async def fetch_blob(self, node: str, sha256: Sha256) -> None:
        """Puts a blob of the node on local disk. Raises ConnectionError or DamagedBlob."""
        if node == self._node_id:
            return
        async with self._fetching.setdefault(sha256, asyncio.Lock()):  # many units may want it at once
            if not self._blobs.has(sha256):
                await self._fetch(node, sha256)
        self._fetching.pop(sha256, None)

    async def _fetch(self, node: str, sha256: Sha256) -> None:
        incoming = self._blobs.incoming(sha256)
        try:
            async for chunk in self._stub(node).FetchBlob(pb.BlobRequest(sha256=sha256), timeout=FETCH_TIMEOUT_S):
                incoming.write(chunk.data)
            await asyncio.to_thread(incoming.finish)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(error.details() or "the node can't be reached") from error
        except asyncio.CancelledError as error:
            raise _closed_under(error) from error
        finally:
            incoming.discard()

    def _stub(self, node: str) -> WorkAsyncStub:
        channel = self._channel(node)
        if channel is None:
            message = f"node {node} is not connected"
            raise ConnectionError(message)
        return WorkStub(channel)
