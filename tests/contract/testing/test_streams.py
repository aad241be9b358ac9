"""Calls with streams: what grpc.aio does over loopback, the simulated network does too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from tests.contract.testing.services import (
    EOF,
    beat,
    echo,
    failure,
    fetch,
    heartbeat,
    submit,
)
from tests.contract.testing.worlds import Play, World

from realign_proto.v1 import cluster_pb2, curation_pb2, work_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.work_pb2_grpc import WorkStub

BIG = "x" * 64_000


def test_a_stream_of_replies_ends_well_and_then_stays_ended(play: Play) -> None:
    async def handler(request: work_pb2.BlobRequest, _context: object) -> AsyncIterator[work_pb2.BlobChunk]:
        for number in range(request.offset):
            yield work_pb2.BlobChunk(data=bytes([number]))

    async def scenario(world: World) -> None:
        read = [chunk.data async for chunk in WorkStub(world.channel).FetchBlob(work_pb2.BlobRequest(offset=3))]
        call = WorkStub(world.channel).FetchBlob(work_pb2.BlobRequest(offset=1))
        ends = [await call.read(), await call.read(), await call.read()]

        assert read == [b"\0", b"\1", b"\2"]
        assert ends == [work_pb2.BlobChunk(data=b"\0"), EOF, EOF]
        assert await call.code() is grpc.StatusCode.OK

    play(fetch(handler), scenario)


def test_replies_before_an_abort_are_read_before_it_is_raised(play: Play) -> None:
    async def handler(_request: object, context: Any) -> AsyncIterator[work_pb2.BlobChunk]:
        yield work_pb2.BlobChunk(data=b"1")
        yield work_pb2.BlobChunk(data=b"2")
        await context.abort(grpc.StatusCode.DATA_LOSS, "torn")

    async def scenario(world: World) -> None:
        call = WorkStub(world.channel).FetchBlob(work_pb2.BlobRequest())
        read = [cast("work_pb2.BlobChunk", await call.read()).data for _ in range(2)]
        errors = [await failure(call.read()), await failure(call.read())]

        assert read == [b"1", b"2"]
        assert {(error.code(), error.details()) for error in errors} == {(grpc.StatusCode.DATA_LOSS, "torn")}

    play(fetch(handler), scenario)


def test_a_stream_of_requests_gets_one_reply(play: Play) -> None:
    async def handler(
        requests: AsyncIterator[curation_pb2.SubmitRequest], _context: object
    ) -> curation_pb2.SubmitReply:
        return curation_pb2.SubmitReply(job_id=",".join([request.bytes.sha256 async for request in requests]))

    def part(name: str) -> curation_pb2.SubmitRequest:
        return curation_pb2.SubmitRequest(bytes=curation_pb2.SourceBytes(sha256=name))

    async def parts() -> AsyncIterator[curation_pb2.SubmitRequest]:
        for name in "abc":
            yield part(name)

    async def scenario(world: World) -> None:
        stub = CurationStub(world.channel)
        written = stub.Submit()
        for name in "de":
            await written.write(part(name))
        await written.done_writing()

        assert (await stub.Submit(parts())).job_id == "a,b,c"
        assert (await written).job_id == "d,e"
        assert (await stub.Submit(iter([part("f")]))).job_id == "f"

    play(submit(handler), scenario)


def test_a_handler_need_not_read_all_requests(play: Play) -> None:
    async def handler(requests: AsyncIterator[curation_pb2.SubmitRequest], _context: object) -> Any:
        await anext(requests)
        return curation_pb2.SubmitReply(job_id="enough")

    async def endless() -> AsyncIterator[curation_pb2.SubmitRequest]:
        while True:
            yield curation_pb2.SubmitRequest()

    async def scenario(world: World) -> None:
        assert (await CurationStub(world.channel).Submit(endless())).job_id == "enough"

    play(submit(handler), scenario)


def test_streams_both_ways_take_turns_until_the_client_has_no_more(play: Play) -> None:
    async def scenario(world: World) -> None:
        call = ClusterStub(world.channel).Heartbeat()
        heard: list[int] = []
        for number in range(3):
            await call.write(beat(number))
            heard.append(cast("cluster_pb2.Beat", await call.read()).sequence)
        await call.done_writing()

        assert await call.read() is EOF
        assert (heard, await call.code()) == ([0, 1, 2], grpc.StatusCode.OK)
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(beat())

    play(heartbeat(echo), scenario)


def test_messages_of_an_iterator_come_in_order(play: Play) -> None:
    async def beats() -> AsyncIterator[cluster_pb2.Beat]:
        for number in range(50):
            yield beat(number)

    async def scenario(world: World) -> None:
        heard = [reply.sequence async for reply in ClusterStub(world.channel).Heartbeat(beats())]

        assert heard == list(range(50))

    play(heartbeat(echo), scenario)


def test_a_cancelled_stream_ends_what_the_server_reads(play: Play) -> None:
    over: list[asyncio.Event] = []

    async def handler(beats: AsyncIterator[cluster_pb2.Beat], context: Any) -> AsyncIterator[cluster_pb2.Beat]:
        try:
            async for one in echo(beats, context):
                yield one
        finally:
            over[0].set()

    async def scenario(world: World) -> None:
        over[:] = [asyncio.Event()]
        call = ClusterStub(world.channel).Heartbeat()
        await call.write(beat())
        await call.read()
        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call.read()
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(beat())
        await over[0].wait()

    play(heartbeat(handler), scenario)


def test_cancelling_a_read_cancels_its_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        call = ClusterStub(world.channel).Heartbeat()
        await call.write(beat())
        await call.read()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call.read()

        assert await call.code() is grpc.StatusCode.CANCELLED

    play(heartbeat(echo), scenario)


def test_a_server_may_end_a_stream_while_the_client_still_has_something_to_say(play: Play) -> None:
    async def handler(beats: AsyncIterator[cluster_pb2.Beat], _context: object) -> AsyncIterator[cluster_pb2.Beat]:
        yield await anext(beats)

    async def beats() -> AsyncIterator[cluster_pb2.Beat]:
        yield beat(7)
        await asyncio.Event().wait()

    async def scenario(world: World) -> None:
        call = ClusterStub(world.channel).Heartbeat(beats())

        assert [reply.sequence async for reply in call] == [7]
        assert call.done()

    play(heartbeat(handler), scenario)


def test_an_iterator_that_fails_cancels_its_call(play: Play) -> None:
    async def beats() -> AsyncIterator[cluster_pb2.Beat]:
        yield beat()
        raise ValueError("no more")

    async def scenario(world: World) -> None:
        call = ClusterStub(world.channel).Heartbeat(beats())

        with pytest.raises(asyncio.CancelledError):
            async for _ in call:
                pass

    play(heartbeat(echo), scenario)


def test_reading_and_iterating_do_not_mix(play: Play) -> None:
    async def scenario(world: World) -> None:
        call = ClusterStub(world.channel).Heartbeat()
        aiter(call)

        with pytest.raises(grpc.aio.UsageError):
            await call.read()
        call.cancel()

    play(heartbeat(echo), scenario)


def test_a_writer_waits_for_a_reader_after_a_few_mebibytes(play: Play) -> None:
    enough: list[asyncio.Event] = []

    async def handler(beats: AsyncIterator[cluster_pb2.Beat], _context: object) -> AsyncIterator[cluster_pb2.Beat]:
        yield await anext(beats)
        await enough[0].wait()
        async for one in beats:
            yield one

    async def scenario(world: World) -> None:
        enough[:] = [asyncio.Event()]
        call = ClusterStub(world.channel).Heartbeat()
        await call.write(beat())
        await call.read()
        written = 0

        async def write() -> None:
            nonlocal written
            while True:
                await call.write(beat(text=BIG))
                written += 1

        writer = asyncio.create_task(write())
        await asyncio.wait([writer], timeout=0.3)
        stuck_at = written
        enough[0].set()
        while written < stuck_at + 10:
            await call.read()

        assert 64 * 1024 <= stuck_at * len(BIG) <= 16 * 1024 * 1024  # gRPC's window and the kernel's two buffers
        writer.cancel()

    play(heartbeat(handler), scenario)


def test_a_server_waits_for_a_reader_after_a_few_mebibytes(play: Play) -> None:
    sent: list[int] = []

    async def handler(_request: object, _context: object) -> AsyncIterator[work_pb2.BlobChunk]:
        for number in range(400):
            sent.append(number)
            yield work_pb2.BlobChunk(data=bytes(len(BIG)))

    async def scenario(world: World) -> None:
        sent.clear()
        call = WorkStub(world.channel).FetchBlob(work_pb2.BlobRequest())
        await call.read()
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.3)
        stuck_at = len(sent)

        assert 64 * 1024 <= stuck_at * len(BIG) <= 16 * 1024 * 1024  # gRPC's window and the kernel's two buffers
        assert len([chunk async for chunk in _rest(call)]) == 399

    play(fetch(handler), scenario)


async def _rest(call: Any) -> AsyncIterator[Any]:
    while (message := await call.read()) is not EOF:
        yield message


def test_a_writer_that_waits_fails_when_the_server_ends_the_call(play: Play) -> None:
    enough: list[asyncio.Event] = []

    async def handler(beats: AsyncIterator[cluster_pb2.Beat], _context: object) -> AsyncIterator[cluster_pb2.Beat]:
        yield await anext(beats)
        await enough[0].wait()

    async def scenario(world: World) -> None:
        enough[:] = [asyncio.Event()]
        call = ClusterStub(world.channel).Heartbeat()

        async def write() -> None:
            while True:
                await call.write(beat(text=BIG))

        writer = asyncio.create_task(write())
        await asyncio.wait([writer], timeout=0.3)
        enough[0].set()

        assert (await failure(writer)).code() is grpc.StatusCode.INTERNAL

    play(heartbeat(handler), scenario)
