"""Upload: a submit as it arrives: the request first, then bytes of those sources that were not sent before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full
from realign_daemon.rpc.sources import named
from realign_daemon.work.blobs import BlobStore, Incoming
from realign_proto.v1 import curation_pb2 as pb


async def first(parts: AsyncIterator[pb.SubmitRequest]) -> pb.JobRequest:
    """The request that the parts begin with. Raises BadInput when they begin otherwise."""
    part = await anext(parts, None)
    if part is not None and part.HasField("request"):
        return part.request
    raise BadInput("the submit begins with no request; use a client of the same version")


async def begun_with(request: pb.JobRequest, parts: AsyncIterator[pb.SubmitRequest]) -> AsyncIterator[pb.SubmitRequest]:
    """The submit again, for the node that it is passed on to."""
    yield pb.SubmitRequest(request=request)
    async for part in parts:
        yield part


async def receive(
    request: pb.JobRequest, parts: AsyncIterator[pb.SubmitRequest], blobs: BlobStore, *, max_source_bytes: int
) -> None:
    """Puts the bytes that follow the request into the blob store.

    Raises:
        BadInput, Full, DamagedBlob.
    """
    incoming: dict[str, Incoming] = {}
    announced = {source.sha256 for source in named(request)}
    received = 0
    try:
        async for part in parts:
            sha256 = Sha256(part.bytes.sha256)
            received += len(part.bytes.data)
            if received > max_source_bytes:
                raise Full(
                    f"the sources are larger than {max_source_bytes} bytes; "
                    "split the job or raise [limits] source_bytes"
                )
            if sha256 not in announced:
                raise BadInput("bytes came that no source of the request announces; submit again")
            if sha256 not in incoming:
                incoming[sha256] = blobs.incoming(sha256)
            incoming[sha256].write(part.bytes.data)
        for blob in incoming.values():
            await asyncio.to_thread(blob.finish)
    finally:
        for blob in incoming.values():
            blob.discard()
