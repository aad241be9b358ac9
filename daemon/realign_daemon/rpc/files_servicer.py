"""Files servicer: takes contents in before the job that names them, and files of this node's shares for other nodes."""
# ruff: noqa: ARG002 - gRPC passes a context to every method

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import grpc.aio

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import Full
from realign_daemon.files.share import SharedPath, Shares
from realign_daemon.files.staging import Piece, Staging
from realign_daemon.rpc.caller import caller
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.upload import flowing
from realign_proto.v1 import curation_pb2, files_pb2
from realign_proto.v1.files_pb2_grpc import FilesServicer as FilesService
from realign_proto.v1.files_pb2_grpc import add_FilesServicer_to_server

MOST_ASKED = 10_000  # contents in one question; a job has no more sources


class FilesServicer(FilesService):
    """Thin: converts and passes on."""

    def __init__(self, *, staging: Staging, shares: Shares, node_id: str) -> None:
        self._staging = staging
        self._shares = shares
        self._node_id = node_id

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_FilesServicer_to_server(self, server)

    async def HasBlobs(  # noqa: N802 - the wire's name
        self, request: files_pb2.BlobsQuery, context: Context
    ) -> files_pb2.BlobsHere:
        """What is here of the contents."""
        if len(request.sha256) > MOST_ASKED:
            raise Full(f"{len(request.sha256)} contents are asked for; ask for {MOST_ASKED} at most in one call")
        return self._here(caller().key, request.sha256)

    async def Upload(  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[files_pb2.UploadPart], context: Context
    ) -> files_pb2.BlobsHere:
        """Takes the parts in; what came before a broken connection stays."""
        client = caller().key
        named: dict[str, None] = {}
        async for part in flowing(request_iterator):
            piece = Piece(sha256=Sha256(part.sha256), size_bytes=part.size_bytes, offset=part.offset, data=part.data)
            await self._staging.take(client, piece)
            named[part.sha256] = None
            if len(named) > MOST_ASKED:
                raise Full(f"more than {MOST_ASKED} contents came in one upload; send the rest in another one")
        return self._here(client, named)

    async def TakeIn(  # noqa: N802 - the wire's name
        self,
        request: files_pb2.SharedFile,
        context: Context,
    ) -> curation_pb2.Source:
        """A file of a share of this node as a source."""
        path = SharedPath.parse(request.path)
        taken = await self._shares.take_in(path)
        return curation_pb2.Source(
            name=path.source_name, sha256=taken.sha256, size_bytes=taken.size_bytes, held_by=self._node_id
        )

    def _here(self, client: str, contents: Iterable[str]) -> files_pb2.BlobsHere:
        held = ((sha256, self._staging.held(client, Sha256(sha256))) for sha256 in contents)
        return files_pb2.BlobsHere(
            blobs=[files_pb2.BlobHere(sha256=name, bytes=one.bytes_here, whole=one.is_whole) for name, one in held]
        )
