"""Calls over the simulated network: what only a simulation can do to them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
import pytest

from realign_daemon.testing.memory_grpc import open_channel
from realign_daemon.testing.memory_network import Host, Network
from realign_daemon.testing.memory_server import MemoryServer
from realign_daemon.testing.virtual_loop import VirtualLoop, run
from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterServicer, ClusterStub, add_ClusterServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PORT = 7411


class Service(ClusterServicer):
    """Says hello, or waits for ever; echoes beats; notes what became of its calls."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    async def Hello(self, request: cluster_pb2.HelloRequest, context: Any) -> cluster_pb2.HelloReply:
        self.notes.append(context.auth_context().get("x509_pem_cert"))
        try:
            if request.name == "wait":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.notes.append(asyncio.get_running_loop().time())
            raise
        return cluster_pb2.HelloReply()

    async def Heartbeat(self, request_iterator: Any, context: Any) -> AsyncIterator[cluster_pb2.Beat]:
        async for beat in request_iterator:
            yield beat


async def serve(host: Host, service: Any) -> None:
    server = MemoryServer(host)
    add_ClusterServicer_to_server(service, cast("grpc.aio.Server", server))
    server.add_insecure_port(f"0.0.0.0:{PORT}")
    await server.start()


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


def outcome(scenario: Any, seed: int = 0) -> Any:
    async def main(loop: VirtualLoop) -> Any:
        network = Network(loop)
        near, far = network.host("near"), network.host("far")
        near.boot()
        service = cast("Any", Service)()
        await far.boot().start(serve(far, service))
        return await scenario(near, far, service)

    return run(main, seed)[0]


def stub_of(near: Host, far: Host, **more: Any) -> Any:
    return ClusterStub(open_channel(near, f"{far.ip}:{PORT}", **more))


HELLO = cluster_pb2.HelloRequest()
WAIT = cluster_pb2.HelloRequest(name="wait")


def test_a_certificate_that_a_channel_shows_reaches_the_handler() -> None:
    async def scenario(near: Host, far: Host, service: Any) -> list[Any]:
        await stub_of(near, far, certificate=b"PEM").Hello(HELLO)
        await stub_of(near, far).Hello(HELLO)
        return service.notes

    assert outcome(scenario) == [[b"PEM"], None]


def test_a_call_over_a_cut_hangs_until_its_deadline() -> None:
    async def scenario(near: Host, far: Host, _service: Any) -> tuple[grpc.StatusCode, float]:
        stub = stub_of(near, far)
        await stub.Hello(HELLO)
        near.network.cut(far, near)
        began_s = near.network.loop.time()
        error = await failure(stub.Hello(HELLO, timeout=1.5))
        return error.code(), near.network.loop.time() - began_s

    assert outcome(scenario) == (grpc.StatusCode.DEADLINE_EXCEEDED, pytest.approx(1.5))


def test_a_stream_over_a_cut_hangs_then_breaks_and_the_channel_finds_the_server_again_after_it() -> None:
    async def scenario(near: Host, far: Host, _service: Any) -> tuple[grpc.StatusCode, float]:
        stub = stub_of(near, far)
        stream = stub.Heartbeat()
        await stream.write(cluster_pb2.Beat())
        await stream.read()
        near.network.isolate(far)
        began_s = near.network.loop.time()
        error = await failure(stream.read())
        broke_s = near.network.loop.time() - began_s
        near.network.heal()
        await stub.Hello(HELLO, wait_for_ready=True, timeout=5)
        return error.code(), broke_s

    code, broke_s = outcome(scenario)

    assert (code, 2 <= broke_s <= 4) == (grpc.StatusCode.UNAVAILABLE, True)


def test_a_crash_breaks_the_calls_at_the_others_and_a_reboot_serves_them_again() -> None:
    async def scenario(near: Host, far: Host, _service: Any) -> list[grpc.StatusCode]:
        stub = stub_of(near, far)
        call = stub.Hello(WAIT)
        await asyncio.sleep(1)
        far.crash()
        codes = [(await failure(call)).code(), (await failure(stub.Hello(HELLO))).code()]
        again = cast("Any", Service)()
        await far.boot().start(serve(far, again))
        await asyncio.sleep(1)
        await stub.Hello(HELLO)
        assert len(again.notes) == 1
        return codes

    assert outcome(scenario) == [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE]


def test_a_client_that_crashes_has_its_calls_cancelled_at_the_server() -> None:
    async def scenario(near: Host, far: Host, service: Any) -> float:
        async def call() -> None:
            await stub_of(near, far).Hello(WAIT)

        near.running.start(call())
        await asyncio.sleep(1)
        near.crash()
        await asyncio.sleep(1)
        return service.notes[1]

    assert outcome(scenario) == pytest.approx(1, abs=0.01)


def test_a_frozen_server_answers_nothing_until_it_goes_on() -> None:
    async def scenario(near: Host, far: Host, service: Any) -> tuple[float, list[Any]]:
        stub = stub_of(near, far)
        await stub.Hello(HELLO)
        far.freeze()
        near.network.loop.call_later(1.5, far.resume)
        began_s = near.network.loop.time()
        await stub.Hello(HELLO)
        return near.network.loop.time() - began_s, service.notes

    assert outcome(scenario) == (pytest.approx(1.5, abs=0.01), [None, None])


def test_a_server_out_of_reach_ends_a_call_at_its_deadline_by_itself() -> None:
    async def scenario(near: Host, far: Host, service: Any) -> float:
        stub = stub_of(near, far)
        call = stub.Hello(WAIT, timeout=3)
        await asyncio.sleep(1)
        near.network.isolate(near)
        await failure(call)
        await asyncio.sleep(5)
        return service.notes[1]

    assert outcome(scenario) == pytest.approx(3, abs=0.01)


def test_a_message_is_what_it_was_when_it_was_sent() -> None:
    async def scenario(near: Host, far: Host, _service: Any) -> int:
        stream = stub_of(near, far).Heartbeat()
        beat = cluster_pb2.Beat(sequence=1)
        await stream.write(beat)
        beat.sequence = 2
        return (await stream.read()).sequence

    assert outcome(scenario) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_calls(seed: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        network = Network(loop)
        near, far = network.host("near"), network.host("far")
        near.boot()
        await far.boot().start(serve(far, cast("Any", Service)()))
        calls = [partial(stub_of(near, far).Hello, HELLO) for _ in range(5)]
        await asyncio.gather(*(call() for call in calls))

    assert run(main, seed) == run(main, seed)
