"""Journal link: another node's journal over gRPC."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import TypeVar

import grpc
import grpc.aio

from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import MAX_BYTES
from realign_daemon.journal.entries import Header, Position, Ref
from realign_daemon.journal.journal import Batch, Item
from realign_daemon.rpc.work_link import BlobGone, Channel, WorkLinks
from realign_proto.v1 import journal_pb2 as pb
from realign_proto.v1.journal_pb2_grpc import JournalStub

CALL_TIMEOUT_S = 120.0  # 256 things over a slow link
REFS_A_CALL = 256

T = TypeVar("T")


class JournalLinks:
    """Links by node id."""

    def __init__(self, *, channel: Channel, links: WorkLinks) -> None:
        """`links` fetch the files."""
        self._channel = channel
        self._links = links

    def connect(self, node: str) -> JournalLink:
        """The node's journal. Raises ConnectionError when the node is not connected."""
        channel = self._channel(node)
        if channel is None:
            raise ConnectionError(f"node {node} is not connected")
        return JournalLink(channel=channel, node=node, links=self._links)


class JournalLink:
    """See journal.source.Source."""

    def __init__(self, *, channel: grpc.aio.Channel, node: str, links: WorkLinks) -> None:
        """`node` is the other's id, which `links` fetch files from."""
        self._stub = JournalStub(channel)
        self._node = node
        self._links = links

    async def follow(self, position: Position) -> AsyncGenerator[Batch]:
        """See Source."""
        request = pb.FollowRequest(index_id=position.index_id, after=position.seq, boot_id=position.boot)
        call = self._stub.Follow(request)
        try:
            async for wire in _reached(call):
                yield Batch(
                    headers=tuple(
                        Header(seq=one.seq, ref=Ref(kind=one.kind, ref=one.ref), digest=one.digest)
                        for one in wire.headers
                    ),
                    end=Position(index_id=wire.index_id, seq=wire.reached, boot=wire.boot_id),
                    last=wire.last,
                )
        finally:
            call.cancel()

    async def fetch(self, refs: Sequence[Ref]) -> AsyncGenerator[Item]:
        """See Source. A thing whose bytes were damaged on the way ends the connection: it is fetched again."""
        for start in range(0, len(refs), REFS_A_CALL):
            wanted = [pb.Ref(kind=ref.kind, ref=ref.ref) for ref in refs[start : start + REFS_A_CALL]]
            request = pb.FetchRequest(refs=wanted)
            call = self._stub.Fetch(request, timeout=CALL_TIMEOUT_S)
            payload = bytearray()
            try:
                async for wire in _reached(call):
                    payload += wire.payload
                    if len(payload) > MAX_BYTES:
                        raise ConnectionError(f"a {wire.kind} from {self._node} is larger than {MAX_BYTES} bytes")
                    if wire.more:
                        continue
                    if zlib.crc32(payload) != wire.crc32:
                        raise ConnectionError(f"a {wire.kind} came damaged from {self._node}")
                    yield Item(ref=Ref(kind=wire.kind, ref=wire.ref), payload=bytes(payload))
                    payload.clear()
            finally:
                call.cancel()

    async def fetch_blob(self, sha256: Sha256, *, max_bytes: int) -> bool:
        """See Source."""
        try:
            await self._links.fetch_blob(self._node, sha256, max_bytes=max_bytes)
        except BlobGone:
            return False
        return True

    async def digests(self) -> Mapping[str, str]:
        """See Source."""
        try:
            reply = await self._stub.Compare(pb.CompareRequest(), timeout=CALL_TIMEOUT_S)
            return dict(reply.digests)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:  # its realign knows no digests: it makes none
                return {}
            raise ConnectionError(error.details() or "the node can't be reached") from error


async def _reached(call: AsyncIterable[T]) -> AsyncIterator[T]:
    """What the node says. Raises ConnectionError when it breaks off."""
    try:
        async for wire in call:
            yield wire
    except grpc.aio.AioRpcError as error:
        raise ConnectionError(error.details() or "the node can't be reached") from error
