"""Upload: contents on their way to a daemon. What it has is not sent, and a broken upload goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from realign_client.errors import Damaged
from realign_client.sources import SourceFile, pieces
from realign_proto.v1 import files_pb2

if TYPE_CHECKING:
    from realign_proto.v1.files_pb2_grpc import FilesAsyncStub

Progress = Callable[[int, int], None]  # bytes that are there, bytes in all

QUERY_TIMEOUT_S = 35.0
SLOWEST_BYTES_PER_S = 64 * 1024  # over a slower link an upload goes on in a call of its own
MOST_TRIES = 6  # in a row that brought nothing; with the waits between them a daemon has restarted
FIRST_WAIT_S = 0.25  # doubled each time
MOST_ASKED = 1_000  # contents in one question
BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


async def upload(files: FilesAsyncStub, sources: Sequence[SourceFile], progress: Progress) -> None:
    """Returns when the daemon has the contents of all sources.

    Raises:
        AioRpcError: it does not answer, refuses them, or the connection breaks again and again without progress.
        Damaged: a file has changed since its hash was taken.
        BadUsage: a file cannot be read any more.
    """
    wanted = {source.sha256: source for source in sources}
    total = sum(source.size_bytes for source in wanted.values())
    most, tries = -1, 0
    while True:
        tries += 1
        try:
            missing = await _missing(files, wanted)
            there = total - sum(wanted[sha256].size_bytes - count for sha256, count in missing.items())
            progress(there, total)
            if not missing:
                return
            if there > most:
                most, tries = there, 0
            if tries > MOST_TRIES:
                raise Damaged(f"{wanted[next(iter(missing))].name} changed while it was sent; submit it again")
            await _send(files, {wanted[name]: count for name, count in missing.items()}, there, total, progress)
        except grpc.aio.AioRpcError as failure:
            if most < 0 or tries > MOST_TRIES or failure.code() not in BROKEN:
                raise
            await asyncio.sleep(FIRST_WAIT_S * 2**tries)


async def _missing(files: FilesAsyncStub, wanted: Mapping[str, SourceFile]) -> dict[str, int]:
    """The contents that are not there whole, and how much of each is."""
    names = tuple(wanted)
    missing: dict[str, int] = {}
    for start in range(0, len(names), MOST_ASKED):
        query = files_pb2.BlobsQuery(sha256=names[start : start + MOST_ASKED])
        answer = await files.HasBlobs(query, timeout=QUERY_TIMEOUT_S)
        missing |= {one.sha256: one.bytes for one in answer.blobs if not one.whole}
    return missing


async def _send(
    files: FilesAsyncStub, rests: Mapping[SourceFile, int], there: int, total: int, progress: Progress
) -> None:
    call = files.Upload(timeout=QUERY_TIMEOUT_S + (total - there) / SLOWEST_BYTES_PER_S)
    try:
        for source, offset in rests.items():
            for part in pieces(source, offset):
                await call.write(part)
                there += len(part.data)
                progress(there, total)
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # it has ended: its answer says why
    except BaseException:
        call.cancel()
        raise
    await call
