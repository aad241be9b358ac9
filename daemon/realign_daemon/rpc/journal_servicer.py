"""Journal servicer: lets other nodes take in what this one holds."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import grpc.aio

from realign_daemon.journal.entries import Position, Ref
from realign_daemon.journal.journal import Batch, Item, Journal
from realign_daemon.rpc.context import Context
from realign_proto.v1 import journal_pb2 as pb
from realign_proto.v1.journal_pb2_grpc import JournalServicer as JournalService
from realign_proto.v1.journal_pb2_grpc import add_JournalServicer_to_server

PIECE_BYTES = 1024 * 1024
REFS_A_LOOK = 32  # loaded at once: most things have some kilobytes, and records a megabyte at most


class JournalServicer(JournalService):
    """Thin: converts and passes on."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_JournalServicer_to_server(self, server)

    async def Follow(  # noqa: N802 - the wire's name
        self,
        request: pb.FollowRequest,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[pb.Headers]:
        """Headers from the follower's position on, until it goes. The first message comes at once."""
        position = Position(index_id=request.index_id, seq=request.after, boot=request.boot_id)
        async for batch in self._journal.follow(position):
            yield _headers_to_wire(batch)

    async def Fetch(  # noqa: N802 - the wire's name
        self,
        request: pb.FetchRequest,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[pb.Item]:
        """The things asked for; what is gone is left out."""
        refs = [Ref(kind=ref.kind, ref=ref.ref) for ref in request.refs]
        for start in range(0, len(refs), REFS_A_LOOK):
            for item in await self._journal.load(refs[start : start + REFS_A_LOOK]):
                for piece in _pieces(item):
                    yield piece

    async def Compare(  # noqa: N802 - the wire's name
        self,
        request: pb.CompareRequest,  # noqa: ARG002 - see below
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> pb.CompareReply:
        """A digest of each kind."""
        return pb.CompareReply(digests=await self._journal.digests())


def _headers_to_wire(batch: Batch) -> pb.Headers:
    return pb.Headers(
        index_id=batch.end.index_id,
        reached=batch.end.seq,
        boot_id=batch.end.boot,
        headers=[
            pb.Header(seq=header.seq, kind=header.ref.kind, ref=header.ref.ref, digest=header.digest)
            for header in batch.headers
        ],
        last=batch.last,
    )


def _pieces(item: Item) -> Iterator[pb.Item]:
    """The item in messages of a size that every node takes; an empty one is one message."""
    end = len(item.payload)
    for start in range(0, max(end, 1), PIECE_BYTES):
        is_last = start + PIECE_BYTES >= end
        yield pb.Item(
            kind=item.ref.kind,
            ref=item.ref.ref,
            payload=item.payload[start : start + PIECE_BYTES],
            more=not is_last,
            crc32=zlib.crc32(item.payload) if is_last else 0,
        )
