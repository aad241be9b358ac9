"""Two worlds in which one server is called: grpc.aio over loopback, and the simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc.aio

from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.listener import OPTIONS
from realign_daemon.testing import memory_grpc
from realign_daemon.testing.memory_network import Network
from realign_daemon.testing.memory_server import MemoryServer
from realign_daemon.testing.virtual_loop import run

if TYPE_CHECKING:
    from realign_daemon.testing.virtual_loop import VirtualLoop

AddToServer = Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    channel: grpc.aio.Channel
    nobody: grpc.aio.Channel  # to a port where nobody listens
    server: grpc.aio.Server
    break_connections: Callable[[], None]  # for good: whoever dials again is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    services: Sequence[AddToServer]
    interceptors: Sequence[grpc.aio.ServerInterceptor] = ()
    concurrent_calls: int | None = None


Scenario = Callable[[World], Awaitable[None]]
Play = Callable[[Served, Scenario], None]


class Relay:
    """Passes bytes between a client and a server until it is cut, as a cable does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._listener: asyncio.Server | None = None
        self._tasks = set[asyncio.Task[None]]()

    async def start(self) -> int:
        self._listener = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        return self._listener.sockets[0].getsockname()[1]

    def cut(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, there_writer]
        for source, target in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pass(source, target))
            self._tasks.add(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def loopback(served: Served, scenario: Scenario) -> None:
    async def play() -> None:
        async with asyncio.timeout(20), _on_loopback(served) as world:
            await scenario(world)

    asyncio.run(play())


@asynccontextmanager
async def _on_loopback(served: Served) -> AsyncGenerator[World]:
    server = grpc.aio.server(
        interceptors=list(served.interceptors), options=OPTIONS, maximum_concurrent_rpcs=served.concurrent_calls
    )
    for add_to in served.services:
        add_to(server)
    relay = Relay(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    port = await relay.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel, open_channel("127.0.0.1:1") as nobody:
            yield World(channel=channel, nobody=nobody, server=server, break_connections=relay.cut)
    finally:
        relay.cut()
        await server.stop(None)


def memory(served: Served, scenario: Scenario) -> None:
    async def play(loop: VirtualLoop) -> None:
        async with asyncio.timeout(60):
            await scenario(await _in_memory(served, loop))

    for seed in range(5):
        run(play, seed)


async def _in_memory(served: Served, loop: VirtualLoop) -> World:
    network = Network(loop)
    near, far = network.host("near"), network.host("far")
    near.boot()

    async def serve() -> tuple[MemoryServer, int]:
        server = MemoryServer(far, interceptors=served.interceptors, concurrent_calls=served.concurrent_calls)
        for add_to in served.services:
            add_to(cast("Any", server))
        port = server.add_insecure_port("0.0.0.0:0")
        await server.start()
        return server, port

    server, port = await far.boot().start(serve())
    return World(
        channel=memory_grpc.open_channel(near, f"{far.ip}:{port}"),
        nobody=memory_grpc.open_channel(near, f"{far.ip}:1"),
        server=cast("grpc.aio.Server", server),
        break_connections=far.crash,
    )


WORLDS = (loopback, memory)
