"""Interceptors, broken connections and stopping servers: what grpc.aio does, the simulated network does too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from tests.contract.testing.services import (
    Patient,
    beat,
    failure,
    greet,
    hello,
    raw,
    served,
)
from tests.contract.testing.worlds import Play, World

from realign_daemon.errors import BlockedByGate
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterServicer, ClusterStub, add_ClusterServicer_to_server


def test_a_fault_passes_the_interceptor_with_its_exit_code(play: Play) -> None:
    async def handler(*_: object) -> None:
        message = "too few good rows"
        raise BlockedByGate(message)

    async def scenario(world: World) -> None:
        error = await failure(ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest()))
        garbage = await failure(raw(world.channel, "/realign.v1.Cluster/Hello", b"\xff"))

        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "too few good rows")
        assert dict(error.trailing_metadata() or ()) == {"realign-exit": "3"}
        assert garbage.code() is grpc.StatusCode.INVALID_ARGUMENT

    play(hello(handler, interceptors=[FaultInterceptor()]), scenario)


class Doorkeeper(grpc.aio.ServerInterceptor):
    """Lets nobody in who does not name itself."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if ("name", "friend") in [tuple(pair) for pair in handler_call_details.invocation_metadata]:
            return await continuation(handler_call_details)

        async def refuse(_request: object, context: Any) -> None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{handler_call_details.method} is not for you")

        return cast("Any", grpc).unary_unary_rpc_method_handler(refuse)


def test_an_interceptor_may_turn_a_caller_away(play: Play) -> None:
    async def scenario(world: World) -> None:
        stub = ClusterStub(world.channel)
        reply = await stub.Hello(cluster_pb2.HelloRequest(name="a"), metadata=(("name", "friend"),))
        error = await failure(stub.Hello(cluster_pb2.HelloRequest()))

        assert reply.name == "hello a"
        assert (error.code(), error.details()) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "/realign.v1.Cluster/Hello is not for you",
        )

    play(hello(greet, interceptors=[FaultInterceptor(), Doorkeeper()]), scenario)


def test_a_handler_knows_who_calls(play: Play) -> None:
    seen: list[tuple[str, object]] = []

    async def handler(request: cluster_pb2.HelloRequest, context: Any) -> cluster_pb2.HelloReply:
        seen.append((context.peer().partition(":")[0], dict(context.auth_context())))
        return await greet(request, context)

    async def scenario(world: World) -> None:
        await ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())

    play(hello(handler), scenario)
    plain = {"transport_security_type": [b"insecure"], "security_level": [b"TSI_SECURITY_NONE"]}
    assert set(map(str, seen)) == {str(("ipv4", plain))}


def test_a_port_where_nobody_listens_is_unavailable(play: Play) -> None:
    async def scenario(world: World) -> None:
        error = await failure(ClusterStub(world.nobody).Hello(cluster_pb2.HelloRequest()))

        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "Connection refused" in (error.details() or "")

    play(hello(greet), scenario)


def test_a_call_that_waits_for_a_server_has_its_deadline(play: Play) -> None:
    async def scenario(world: World) -> None:
        error = await failure(
            ClusterStub(world.nobody).Hello(cluster_pb2.HelloRequest(), timeout=0.5, wait_for_ready=True)
        )

        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    play(hello(greet), scenario)


def test_a_broken_connection_ends_every_call_on_it(play: Play) -> None:
    patient = Patient()

    class Service(ClusterServicer):
        async def Hello(self, request: Any, context: Any) -> Any:
            await patient.handle()

        async def Heartbeat(self, request_iterator: Any, context: Any) -> AsyncIterator[cluster_pb2.Beat]:
            async for one in request_iterator:
                yield one

    async def scenario(world: World) -> None:
        patient.renew()
        stub = ClusterStub(world.channel)
        stream = stub.Heartbeat()
        await stream.write(beat())
        await stream.read()
        unary = stub.Hello(cluster_pb2.HelloRequest())
        await patient.began.wait()
        read = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        world.break_connections()

        assert (await failure(read)).code() is grpc.StatusCode.UNAVAILABLE
        assert (await failure(unary)).code() is grpc.StatusCode.UNAVAILABLE
        assert (await failure(stub.Hello(cluster_pb2.HelloRequest()))).code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(asyncio.InvalidStateError):
            await stream.write(beat())

    play(served(add_ClusterServicer_to_server, Service), scenario)


def test_a_server_that_stops_at_once_ends_its_calls(play: Play) -> None:
    patient = Patient()

    async def scenario(world: World) -> None:
        patient.renew()
        call = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())
        await patient.began.wait()
        await world.server.stop(None)

        error = await failure(call)
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Cancelling all calls")
        await patient.ended.wait()

    play(hello(patient.handle), scenario)


def test_a_server_that_stops_with_grace_lets_calls_end_and_takes_no_more(play: Play) -> None:
    steps: list[asyncio.Event] = []

    async def handler(request: cluster_pb2.HelloRequest, context: Any) -> cluster_pb2.HelloReply:
        steps[0].set()
        await steps[1].wait()
        return await greet(request, context)

    async def scenario(world: World) -> None:
        steps[:] = [asyncio.Event(), asyncio.Event()]
        stub = ClusterStub(world.channel)
        call = stub.Hello(cluster_pb2.HelloRequest(name="you"))
        await steps[0].wait()
        stopping = asyncio.create_task(world.server.stop(5.0))
        await asyncio.wait([stopping], timeout=0.1)
        late = await failure(stub.Hello(cluster_pb2.HelloRequest()))
        steps[1].set()

        assert (await call).name == "hello you"
        assert late.code() is grpc.StatusCode.UNAVAILABLE
        await stopping

    play(hello(handler), scenario)


def test_a_closed_channel_cancels_its_calls_and_takes_no_more(play: Play) -> None:
    patient = Patient()

    async def scenario(world: World) -> None:
        patient.renew()
        call = ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())
        await patient.began.wait()
        await world.channel.close()

        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(grpc.aio.UsageError):
            ClusterStub(world.channel).Hello(cluster_pb2.HelloRequest())
        await patient.ended.wait()

    play(hello(patient.handle), scenario)
