"""Calls with one request and one reply: what grpc.aio does over loopback, the simulated network does too."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from tests.contract.testing.services import (
    Patient,
    failure,
    greet,
    hello,
    raw,
)
from tests.contract.testing.worlds import Play, World

from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub


def test_a_reply_comes_with_metadata_both_ways(play: Play) -> None:
    seen: dict[str, object] = {}

    async def handler(request: cluster_pb2.HelloRequest, context: Any) -> cluster_pb2.HelloReply:
        seen.update({key: value for key, value in context.invocation_metadata() or () if key != "user-agent"})
        await context.send_initial_metadata((("first", "1"),))
        context.set_trailing_metadata((("last", "2"),))
        return await greet(request, context)

    async def scenario(world: World) -> None:
        call = ClusterStub(world.channel).Hello(
            cluster_pb2.HelloRequest(name="you"), metadata=(("text", "a"), ("bytes-bin", b"\0b"))
        )

        assert (await call).name == "hello you"
        assert dict(await call.initial_metadata()) == {"first": "1"}
        assert dict(await call.trailing_metadata()) == {"last": "2"}
        assert await call.code() is grpc.StatusCode.OK
        assert (call.done(), call.cancelled(), call.cancel()) == (True, False, False)

    play(hello(handler), scenario)
    assert seen == {"text": "a", "bytes-bin": b"\0b"}


def test_an_abort_comes_as_its_code_details_and_trailing_metadata(play: Play) -> None:
    async def handler(_request: object, context: Any) -> None:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now", (("realign-exit", "4"),))

    async def scenario(world: World) -> None:
        error = await failure(ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest()))

        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not now")
        assert dict(error.trailing_metadata() or ()) == {"realign-exit": "4"}

    play(hello(handler), scenario)


def test_a_code_that_is_set_counts_and_the_reply_does_not(play: Play) -> None:
    async def handler(_request: object, context: Any) -> cluster_pb2.HelloReply:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("none such")
        return cluster_pb2.HelloReply()

    async def scenario(world: World) -> None:
        error = await failure(ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest()))

        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "none such")

    play(hello(handler), scenario)


def test_whatever_else_a_handler_raises_is_unknown(play: Play) -> None:
    async def handler(*_: object) -> None:
        raise ValueError("a bug")

    async def scenario(world: World) -> None:
        error = await failure(ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest()))

        assert (error.code(), error.details()) == (
            grpc.StatusCode.UNKNOWN,
            "Unexpected <class 'ValueError'>: a bug",
        )

    play(hello(handler), scenario)


@pytest.mark.parametrize("method", ["/realign.v1.Cluster/Measure", "/realign.v1.Cluster/Sing", "/no.Such/Method"])
def test_what_nobody_serves_is_unimplemented(play: Play, method: str) -> None:
    async def scenario(world: World) -> None:
        error = await failure(raw(world.channel, method, b""))

        assert error.code() is grpc.StatusCode.UNIMPLEMENTED

    play(hello(greet), scenario)


def test_a_deadline_ends_both_halves(play: Play) -> None:
    patient = Patient()
    left: list[float] = []

    async def handler(_request: object, context: Any) -> None:
        left.append(context.time_remaining())
        await patient.handle()

    async def scenario(world: World) -> None:
        patient.renew()
        call = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest(), timeout=0.2)
        error = await failure(call)

        assert (error.code(), error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        await patient.ended.wait()

    play(hello(handler), scenario)
    assert all(0.0 < seconds <= 0.21 for seconds in left)  # gRPC rounds up to what its header can say


def test_a_call_without_a_deadline_has_no_time_remaining(play: Play) -> None:
    async def handler(request: cluster_pb2.HelloRequest, context: Any) -> cluster_pb2.HelloReply:
        assert context.time_remaining() is None
        return await greet(request, context)

    async def scenario(world: World) -> None:
        await ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())

    play(hello(handler), scenario)


def test_a_cancelled_call_cancels_its_handler(play: Play) -> None:
    patient = Patient()

    async def scenario(world: World) -> None:
        patient.renew()
        call = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())
        await patient.began.wait()

        assert call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (call.cancelled(), await call.code()) == (True, grpc.StatusCode.CANCELLED)
        await patient.ended.wait()

    play(hello(patient.handle), scenario)


def test_a_cancelled_task_cancels_the_call_it_awaits(play: Play) -> None:
    patient = Patient()

    async def scenario(world: World) -> None:
        patient.renew()
        call = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())

        async def use() -> None:
            await call

        task = asyncio.create_task(use())
        await patient.began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert (task.cancelled(), call.cancelled()) == (True, True)
        await patient.ended.wait()

    play(hello(patient.handle), scenario)


def test_a_call_too_many_is_refused(play: Play) -> None:
    patient = Patient()

    async def scenario(world: World) -> None:
        patient.renew()
        first = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())
        await patient.began.wait()

        error = await failure(ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest()))

        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()

    play(hello(patient.handle, concurrent_calls=1), scenario)


def test_callbacks_run_when_a_call_ends_on_both_sides(play: Play) -> None:
    heard: list[str] = []

    async def handler(request: cluster_pb2.HelloRequest, context: Any) -> cluster_pb2.HelloReply:
        def ended(own: Any) -> None:
            heard.append(f"server {own.done()}")

        context.add_done_callback(ended)
        return await greet(request, context)

    async def scenario(world: World) -> None:
        def ended(own: Any) -> None:
            heard.append(f"client {own.done()}")

        heard.clear()
        call = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())
        call.add_done_callback(ended)
        await call
        await ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())  # so that the first one's task has ended

        assert sorted(heard)[:2] == ["client True", "server True"]

    play(hello(handler), scenario)
