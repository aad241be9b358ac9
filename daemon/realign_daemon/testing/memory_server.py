"""MemoryServer: serves the real servicers, behind the real interceptors, to whoever dials its host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import grpc
import grpc.aio

from realign_daemon.cluster.addresses import Address
from realign_daemon.testing.memory_call import MemoryCall, RawMetadata
from realign_daemon.testing.memory_flow import FRAME_BYTES, Connection, Inlet, Outlet
from realign_daemon.testing.memory_network import Host
from realign_daemon.testing.memory_server_call import ServerCall
from realign_daemon.testing.memory_socket import Socket

GOING = "Cancelling all calls"  # what gRPC tells clients whose calls did not end before the server did

Handler = Any  # a grpc.RpcMethodHandler, whose types its stubs leave open


class CallDetails(NamedTuple):
    """See grpc.HandlerCallDetails."""

    method: str
    invocation_metadata: RawMetadata


class ServerConnection(Connection):
    """A connection on which calls come in."""

    def __init__(self, socket: Socket, server: MemoryServer) -> None:
        super().__init__(socket)
        self.server = server

    @property
    def client_certificate(self) -> bytes | None:
        """The client's, PEM."""
        return cast("Connection", self.socket.other.holder).certificate

    def turn_away(self) -> None:
        """Tells the client to begin no more calls here."""
        self.socket.send(FRAME_BYTES, cast("Connection", self.socket.other.holder).go_away)


class MemoryServer:
    """As much of a grpc.aio.Server as a daemon uses. It is made, started and stopped within its host's process."""

    def __init__(
        self,
        host: Host,
        *,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        concurrent_calls: int | None = None,
    ) -> None:
        self._host = host
        self._process = host.running
        self._interceptors = tuple(interceptors)
        self._concurrent_calls = concurrent_calls
        self._handlers: dict[str, Handler] = {}
        self._generic_handlers: list[grpc.GenericRpcHandler] = []
        self._ports: list[int] = []
        self._connections: list[ServerConnection] = []
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._is_running = False

    # As in grpc.aio.

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Serves what they know."""
        self._generic_handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """Serves these methods."""
        self._handlers |= {f"/{service_name}/{name}": handler for name, handler in method_handlers.items()}

    def add_insecure_port(self, address: str) -> int:
        """Listens there, on any free port for 0. Whoever dials before the start waits."""
        port = self._host.listen(Address.parse(address).port, self._accept).port
        self._ports.append(port)
        return port

    async def start(self) -> None:
        """Takes calls from now on."""
        self._is_running = True

    async def stop(self, grace: float | None) -> None:
        """Takes none any more, waits this long for those that run, then ends them."""
        self._is_running = False
        for port in self._ports:
            self._host.listeners.pop(port, None)
        for connection in self._connections:
            connection.turn_away()
        if grace and self._tasks:
            await asyncio.wait(list(self._tasks), timeout=grace)
        for connection in self._connections:
            for call in list(connection.calls):
                cast("ServerCall", call).stop(GOING)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._connections:
            connection.socket.close()

    # What its connections and calls ask.

    def begin(self, connection: ServerConnection, call: MemoryCall, requests: Inlet, replies: Outlet) -> None:
        """Serves the call in a task of its own."""
        if not self._is_running:
            replies.socket.send(FRAME_BYTES, call.disconnected, GOING)
            return
        is_one_too_many = self._concurrent_calls is not None and len(self._tasks) >= self._concurrent_calls
        call.server_call = served = ServerCall(self, connection, call, requests, replies)
        connection.calls[served] = None
        served.task = self._process.start(served.serve(refuses=is_one_too_many), name=call.path)
        self._tasks[served.task] = None
        served.task.add_done_callback(self._tasks.pop)

    async def find(self, path: str, metadata: RawMetadata) -> Handler:
        """The handler as the interceptors leave it; None when nobody knows the method."""
        return await self._intercept(iter(self._interceptors), CallDetails(path, metadata))

    async def _intercept(self, interceptors: Iterator[Any], details: Any) -> Handler:  # noqa: ANN401 - gRPC's
        interceptor = next(interceptors, None)
        if interceptor is not None:
            return await interceptor.intercept_service(partial(self._intercept, interceptors), details)
        own = self._handlers.get(details.method)
        known = (handlers.service(details) for handlers in self._generic_handlers)
        return own or next((handler for handler in known if handler is not None), None)

    def _accept(self, socket: Socket) -> None:
        self._connections = [other for other in self._connections if other.socket.is_open]
        self._connections.append(ServerConnection(socket, self))
