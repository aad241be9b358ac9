"""What a node that is damaged, or worse, can do to the one that follows its journal: nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from realign_daemon.journal.entries import Position, Ref
from realign_daemon.rpc import journal_link
from realign_daemon.rpc.journal_link import JournalLink
from realign_daemon.rpc.kept_channel import CLOSED, kept
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.work.blobs import BlobStore
from realign_proto.v1 import journal_pb2 as pb

PIECE_BYTES = 1_000


async def test_a_thing_without_end_is_given_up_at_the_size_that_none_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_link, "MAX_BYTES", 10 * PIECE_BYTES)

    async def fetch(_request: bytes, _: object) -> AsyncIterator[bytes]:
        while True:
            yield pb.Item(kind="result", ref="r", payload=bytes(PIECE_BYTES), more=True).SerializeToString()

    server = grpc.aio.server()
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {"Fetch": grpc.unary_stream_rpc_method_handler(fetch)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("realign.v1.Journal", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            links = WorkLinks(node_id="here", channel=lambda _: channel, blobs=BlobStore(tmp_path / "blobs"))
            link = JournalLink(channel=channel, node="there", links=links)

            with pytest.raises(ConnectionError, match="a result from there is larger than 10000 bytes"):
                [item async for item in link.fetch([Ref(kind="result", ref="r")])]
    finally:
        await server.stop(None)


async def test_a_connection_that_others_have_closed_meanwhile_counts_as_broken(tmp_path: Path) -> None:
    channel = kept(grpc.aio.insecure_channel("127.0.0.1:1"))
    links = WorkLinks(node_id="here", channel=lambda _: channel, blobs=BlobStore(tmp_path / "blobs"))
    link = JournalLink(channel=channel, node="there", links=links)
    await channel.close()

    for stream in (link.follow(Position(index_id="")), link.fetch([Ref(kind="result", ref="r")])):
        with pytest.raises(ConnectionError, match=CLOSED):
            await anext(stream)
    with pytest.raises(ConnectionError, match=CLOSED):
        await link.digests()
