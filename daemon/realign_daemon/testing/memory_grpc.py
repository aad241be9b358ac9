"""MemoryChannel: lets the real stubs call over the simulated network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partialmethod
from importlib import import_module
from typing import Any, Self, cast

import grpc
import grpc.aio

from realign_daemon.cluster.addresses import Address
from realign_daemon.testing.grpc_core import cygrpc
from realign_daemon.testing.memory_call import MemoryCall
from realign_daemon.testing.memory_flow import Connection
from realign_daemon.testing.memory_network import Host
from realign_daemon.testing.memory_socket import Socket

# The real call objects, which hold most of what callers see of grpc.aio; only what they drive is replaced.
calls: Any = import_module("grpc.aio._call")

BACKOFF_S = 0.3  # grpc.initial_reconnect_backoff_ms and, next, grpc.max_reconnect_backoff_ms of rpc.channels
BACKOFF_MAX_S = 2.0
BACKOFF_GROWTH = 1.6  # gRPC's connection back-off

Metadata = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]


def open_channel(
    host: Host,
    address: Address | str,
    expects: str | None = None,  # noqa: ARG001 - there is no TLS here to prove who answers
    *,
    certificate: bytes | None = None,
) -> grpc.aio.Channel:
    """A channel from the host's process that connects at its first call, and shows servers the certificate (PEM)."""
    return cast("grpc.aio.Channel", MemoryChannel(host, Address.parse(str(address)), certificate))


class MemoryMethod:
    """A method as a stub offers it."""

    def __init__(
        self,
        channel: MemoryChannel,
        call_class: Any,  # noqa: ANN401 - one of grpc.aio's four
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool = False,  # noqa: FBT001, FBT002 - as generated code calls it
    ) -> None:
        self._call_class = call_class
        self._channel = channel
        self._path = path
        self._transform = (request_serializer, response_deserializer)

    def __call__(
        self,
        request: Any = None,  # noqa: ANN401 - a message or an iterator of messages
        timeout: float | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,  # noqa: FBT001 - as in grpc.aio
    ) -> Any:  # noqa: ANN401 - one of grpc.aio's calls
        """Begins a call."""
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout is None else loop.time() + timeout
        known = grpc.aio.Metadata(*(metadata or ()))
        call = self._call_class(
            request, deadline_s, known, credentials, wait_for_ready, self._channel, self._path, *self._transform, loop
        )
        self._channel.calls[call] = None
        call.add_done_callback(self._channel.calls.pop)
        return call


class MemoryChannel:
    """As much of a grpc.aio.Channel as stubs and daemons use."""

    unary_unary = partialmethod(MemoryMethod, calls.UnaryUnaryCall)
    unary_stream = partialmethod(MemoryMethod, calls.UnaryStreamCall)
    stream_unary = partialmethod(MemoryMethod, calls.StreamUnaryCall)
    stream_stream = partialmethod(MemoryMethod, calls.StreamStreamCall)

    def __init__(self, host: Host, address: Address, certificate: bytes | None) -> None:
        self.calls: dict[Any, None] = {}
        self._host = host
        self._address = address
        self._certificate = certificate
        self._loop = host.network.loop
        self._connection: Connection | None = None
        self._wanting: list[MemoryCall] = []
        self._is_dialling = False
        self._is_closed = False
        self._failure = ""
        self._backoff_s = BACKOFF_S
        self._retry_at_s = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Waits this long for the calls that run, then cancels them."""
        self._is_closed = True
        if grace and self.calls:
            await asyncio.wait([asyncio.ensure_future(call.code()) for call in self.calls], timeout=grace)
        for call in list(self.calls):
            call.cancel()
        if self._connection is not None:
            self._connection.socket.close()

    def call(
        self,
        path: str,
        deadline_s: float | None,
        _credentials: object,
        wait_for_ready: bool | None,  # noqa: FBT001 - as grpc.aio's calls call it
        _handle: int,
    ) -> MemoryCall:
        """What a call of grpc.aio drives. Raises UsageError on a closed channel."""
        if self._is_closed:
            raise cygrpc.UsageError("Channel is closed.")
        return MemoryCall(path, deadline_s, want=self._want, waits=bool(wait_for_ready))

    def _want(self, call: MemoryCall) -> None:
        if self._connection is not None and self._connection.takes_calls:
            call.connected(self._connection)
        elif not self._is_dialling and self._loop.time() < self._retry_at_s and not call.waits:
            call.disconnected(self._failure)
        else:
            self._wanting.append(call)
            self._dial()

    def _dial(self) -> None:
        if not self._is_dialling and not self._is_closed and self._wanting:
            self._is_dialling = True
            wait_s = max(0.0, self._retry_at_s - self._loop.time())
            self._loop.call_later(wait_s, self._host.network.dial, self._host, self._address, self._dialled)

    def _dialled(self, outcome: Socket | str) -> None:
        self._is_dialling = False
        wanting = [call for call in self._wanting if not call.done()]
        self._wanting = []
        if isinstance(outcome, str):
            self._failure = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:{self._address}: {outcome}"
            self._retry_at_s = self._loop.time() + self._backoff_s
            self._backoff_s = min(self._backoff_s * BACKOFF_GROWTH, BACKOFF_MAX_S)
            for call in wanting:
                if call.waits:
                    self._wanting.append(call)
                else:
                    call.disconnected(self._failure)
            self._dial()
        elif self._is_closed:
            outcome.close()
        else:
            self._backoff_s, self._retry_at_s = BACKOFF_S, 0.0
            self._connection = Connection(outcome, certificate=self._certificate)
            for call in wanting:
                call.connected(self._connection)
