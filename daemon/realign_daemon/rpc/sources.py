"""Sources: what a submit names, found where it lies and brought to the job's home."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc
import grpc.aio

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full, NotFound, RealignError, Unreachable
from realign_daemon.files.share import SharedPath, Shares
from realign_daemon.files.staging import Piece, Staging
from realign_daemon.rpc.homes import passed_on
from realign_daemon.rpc.upload import flowing
from realign_daemon.work.blobs import BlobStore
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import files_pb2
from realign_proto.v1.files_pb2_grpc import FilesStub

TAKE_IN_TIMEOUT_S = 300.0  # the node copies the file first

Channel = grpc.aio.Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """The nodes that may hold what a submit names."""

    own: frozenset[str]  # this node's id and name
    named: Callable[[str], Channel | None]  # by name or id; None when it is not connected
    others: Callable[[], tuple[Channel, ...]]
    fetch: Callable[[str, Sha256], Awaitable[None]]  # by node id; raises ConnectionError


class Sources:
    """The sources, evaluation sets and rows of a request; each is a content, or a file of a share that becomes one."""

    def __init__(
        self, *, node_id: str, blobs: BlobStore, staging: Staging, shares: Shares, holders: Holders, source_bytes: int
    ) -> None:
        self._node_id = node_id
        self._blobs = blobs
        self._staging = staging
        self._shares = shares
        self._holders = holders
        self._source_bytes = source_bytes

    async def located(self, request: pb.JobRequest, client: str) -> pb.JobRequest:
        """The request as it goes to the home: all by hash, and for what lies with a node, that node's id.

        Raises:
            BadInput, NotFound, Full, Unreachable: a file of a share cannot be had.
        """
        located = pb.JobRequest()
        located.CopyFrom(request)
        for source in named(located):
            source.held_by = ""
            if not source.sha256:
                source.CopyFrom(await self._from_share(SharedPath.parse(source.name)))
        await self._staging.hand_over(client, contents(located))
        for source in named(located):
            if not source.held_by and self._blobs.hold(Sha256(source.sha256)):
                source.held_by = self._node_id
        return located

    async def receive(self, request: pb.JobRequest, parts: AsyncIterator[pb.SubmitRequest], client: str) -> None:
        """Takes in the bytes that follow the request. They count as the client's like what it uploads before.

        Raises:
            BadInput, Full, DamagedBlob: see Staging.take.
            Unreachable: the rest does not come.
        """
        announced = {source.sha256: source.size_bytes for source in named(request)}
        arrived = Counter[Sha256]()
        async for part in flowing(parts):
            sha256, data = Sha256(part.bytes.sha256), part.bytes.data
            if sha256 not in announced:
                raise BadInput("bytes came that no source of the request announces; submit again")
            piece = Piece(sha256=sha256, size_bytes=announced[sha256], offset=arrived[sha256], data=data)
            await self._staging.take(client, piece)
            arrived[sha256] += len(data)
        await self._staging.hand_over(client, contents(request))

    async def release(self, request: pb.JobRequest, client: str) -> None:
        """Counts nothing of it as the client's any more: a job names it."""
        await self._staging.release(client, contents(request))

    async def bring(self, request: pb.JobRequest) -> None:
        """Fetches what lies with other nodes; what had come before a broken connection is not fetched again.

        Raises:
            Unreachable, DamagedBlob: a content did not come.
            Full: together they are larger than a job's sources may be, or there is no room for them.
        """
        sources = {Sha256(source.sha256): source for source in named(request)}
        for sha256, source in sources.items():
            if source.held_by and source.held_by != self._node_id and not self._blobs.has(sha256):
                self._staging.check_room(source.size_bytes)
                try:
                    await self._holders.fetch(source.held_by, sha256)
                except ConnectionError as error:
                    raise Unreachable(
                        f"{source.name} could not be fetched from node {source.held_by} ({error}); submit again, and "
                        "what has come is not sent twice"
                    ) from error
        paths = [self._blobs.path(sha256) for sha256 in sources if self._blobs.has(sha256)]
        if sum(path.stat().st_size for path in paths) > self._source_bytes:
            raise Full(
                f"the sources are larger than {self._source_bytes} bytes; split the job or raise [limits] source_bytes"
            )

    async def _from_share(self, path: SharedPath) -> pb.Source:
        if path.node in self._holders.own or (not path.node and self._shares.has(path.share)):
            taken = await self._shares.take_in(path)
            return pb.Source(
                name=path.source_name, sha256=taken.sha256, size_bytes=taken.size_bytes, held_by=self._node_id
            )
        if path.node:
            channel = self._holders.named(path.node)
            if channel is None:
                raise Unreachable(f"node {path.node!r}, which holds {path}, is not connected; see `realignctl nodes`")
            return await _taken_in(channel, path)
        refusal: RealignError | None = None
        for channel in self._holders.others():
            try:
                return await _taken_in(channel, path)
            except NotFound:
                continue
            except RealignError as error:
                refusal = error
        raise refusal or NotFound(f"no node that can be reached has {path}; the owner of its node names shares there")


def named(request: pb.JobRequest) -> tuple[pb.Source, ...]:
    """Everything that the request names by content; changes to these are changes to the request."""
    return (*request.sources, *request.eval_sets, *((request.data,) if request.HasField("data") else ()))


def contents(request: pb.JobRequest) -> tuple[Sha256, ...]:
    """Their names, of a request that is located."""
    return tuple(Sha256(source.sha256) for source in named(request))


async def _taken_in(channel: Channel, path: SharedPath) -> pb.Source:
    request = files_pb2.SharedFile(path=str(path))
    return await passed_on(FilesStub(channel).TakeIn(request, timeout=TAKE_IN_TIMEOUT_S))
