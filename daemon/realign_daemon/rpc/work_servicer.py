"""Work servicer: lets homes use this node's executor, and hands out blobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import structlog

from realign_daemon.engine.api import Sha256
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.work_convert import command_from_wire, event_to_wire
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.executor import Executor
from realign_daemon.work.messages import Event, UnitFailed
from realign_daemon.work.units import UnitKey
from realign_proto.v1 import work_pb2 as pb
from realign_proto.v1.work_pb2_grpc import WorkServicer as WorkService
from realign_proto.v1.work_pb2_grpc import add_WorkServicer_to_server

log = structlog.get_logger()


class WorkServicer(WorkService):
    """Thin: converts and passes on."""

    def __init__(self, executor: Executor, blobs: BlobStore) -> None:
        self._executor = executor
        self._blobs = blobs

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_WorkServicer_to_server(self, server)

    async def Attend(  # noqa: N802 - the wire's name
        self,
        request_iterator: AsyncIterator[pb.WorkCommand],
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[pb.WorkEvent]:
        """Commands in, events out, until the home goes."""
        outbox = asyncio.Queue[Event | None]()  # bounded by the units the home assigned
        session = self._executor.open(outbox.put_nowait)

        async def take_commands() -> None:
            try:
                async for wire in request_iterator:
                    try:
                        command = command_from_wire(wire)
                    except ValueError as error:  # a newer home, or damage: this node can't do it, another may
                        log.warning("work.undecodable", reason=str(error))
                        reason = "this node does not understand the task; its realign may be older than the home's"
                        for unit in wire.assign.units:
                            outbox.put_nowait(UnitFailed(key=UnitKey(unit.key), kind="engine_unusable", message=reason))
                        continue
                    if command is not None:
                        self._executor.handle(session, command)
            finally:
                outbox.put_nowait(None)

        reader = asyncio.create_task(take_commands(), name="work.commands")
        try:
            while (event := await outbox.get()) is not None:
                yield event_to_wire(event)
        finally:
            self._executor.close(session)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def FetchBlob(  # noqa: N802 - the wire's name
        self, request: pb.BlobRequest, context: Context
    ) -> AsyncIterator[pb.BlobChunk]:
        """The blob's bytes, NOT_FOUND when it is not here."""
        try:
            size_bytes = self._blobs.path(Sha256(request.sha256)).stat().st_size
            for data in self._blobs.chunks(Sha256(request.sha256), offset=request.offset):
                yield pb.BlobChunk(data=data, size_bytes=size_bytes)
                size_bytes = 0
        except (FileNotFoundError, ValueError):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"this node has no blob {request.sha256[:16]}")
