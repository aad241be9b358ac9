"""MemoryCall: the client's half of a call over the simulated network, in place of what gRPC's C core does for it.

The call objects of grpc.aio themselves are the real ones; this is what they drive. They name its methods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import grpc

from realign_daemon.testing.grpc_core import cygrpc
from realign_daemon.testing.memory_flow import FRAME_BYTES, Connection, Inlet, Outlet

if TYPE_CHECKING:
    from realign_daemon.testing.memory_server import ServerCall, ServerConnection

HEADER_BYTES = 150  # of a request: path, authority, metadata; and of a reply's trailers


class Metadatum(NamedTuple):
    """A key and a value, as gRPC hands them out."""

    key: str
    value: str | bytes


RawMetadata = tuple[tuple[str, str | bytes], ...]
Status = tuple[grpc.StatusCode, str, RawMetadata]


class MemoryCall:
    """One call."""

    def __init__(self, path: str, deadline_s: float | None, *, want: Callable[[MemoryCall], None], waits: bool) -> None:
        """`deadline_s` in the loop's time; `want` connects or disconnects it, now or later; `waits` until it can be."""
        self.path = path
        self.waits = waits
        self.deadline_s = deadline_s
        self.metadata: RawMetadata = ()
        self.server_call: ServerCall | None = None  # touched by the server's process only
        self._want = want
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._request: bytes | None = None
        self._requests: Outlet | None = None
        self._replies: Inlet | None = None
        self._last: Status | None = None  # came, and counts once the messages before it are read
        self._status: Any = None  # grpc.aio's UnaryUnaryCall reads this and the next by these names
        self._initial_metadata: RawMetadata | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._done_callbacks: list[Callable[[], object]] = []
        self._is_locally_cancelled = False
        self._expiry = None if deadline_s is None else self._loop.call_at(deadline_s, self._expire)

    # What grpc.aio drives.

    def done(self) -> bool:
        """Whether the status is known."""
        return self._status is not None

    def cancelled(self) -> bool:
        """Whether that says so."""
        return self.done() and self._status.code() == grpc.StatusCode.CANCELLED.value[0]

    def is_ok(self) -> bool:
        """Whether that is OK."""
        return self.done() and self._status.code() == grpc.StatusCode.OK.value[0]

    def is_locally_cancelled(self) -> bool:
        """Whether the client cancelled it."""
        return self._is_locally_cancelled

    def time_remaining(self) -> float | None:
        """Seconds until the deadline."""
        return None if self.deadline_s is None else max(0.0, self.deadline_s - self._loop.time())

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Calls it once the status is known."""
        if self.done():
            callback()
        else:
            self._done_callbacks.append(callback)

    def cancel(self, details: str) -> None:
        """Ends the call, and lets the server know."""
        self._is_locally_cancelled = True
        self._abandon((grpc.StatusCode.CANCELLED, details, ()))

    def set_internal_error(self, text: str) -> None:
        """Puts this in the place of any status, until a later one comes; what can be read stays."""
        self._set_status((grpc.StatusCode.INTERNAL, "Internal error from Core", ()), text)

    async def status(self) -> Any:  # noqa: ANN401 - cygrpc is untyped
        """The status, once it is known."""
        while self._status is None:
            await self._change()
        return self._status

    async def initial_metadata(self) -> RawMetadata:
        """What the server sent before its first message; nothing when it sent none."""
        while self._initial_metadata is None:
            await self._change()
        return self._initial_metadata

    async def unary_unary(self, request: bytes, metadata: RawMetadata, _context: object) -> bytes | None:
        """The whole call; None unless it ended well."""
        await self._open(metadata, request)
        return await self._only_reply()

    async def stream_unary(
        self, metadata: RawMetadata, metadata_sent: Callable[[], None], _context: object
    ) -> bytes | None:
        """The call but for its requests; None unless it ended well."""
        await self._open(metadata)
        metadata_sent()
        return await self._only_reply()

    async def initiate_unary_stream(self, request: bytes, metadata: RawMetadata, _context: object) -> None:
        """Returns once the server began to answer, or the call is over."""
        await self._open(metadata, request)
        await self.initial_metadata()

    async def initiate_stream_stream(
        self, metadata: RawMetadata, metadata_sent: Callable[[], None], _context: object
    ) -> None:
        """Returns once the server began to answer, or the call is over."""
        await self._open(metadata)
        metadata_sent()
        await self.initial_metadata()

    async def send_serialized_message(self, data: bytes) -> None:
        """Sends a message. Raises ExecuteBatchError when the call is over."""
        assert self._requests is not None
        await self._requests.put(data)

    async def send_receive_close(self) -> None:
        """Sends word that no more requests will come."""
        if self._requests is not None:
            self._requests.finish()

    async def receive_serialized_message(self) -> Any:  # noqa: ANN401 - bytes, or cygrpc's EOF
        """The next message, or EOF."""
        if self._replies is None:
            return cygrpc.EOF
        data = await self._replies.take()
        self._settle()
        return cygrpc.EOF if data is None else data

    # What the channel, and through the network the server, tell it.

    def connected(self, connection: Connection) -> None:
        """Sends the call off."""
        self._connection = connection
        socket = connection.socket
        connection.calls[self] = None
        self._requests = Outlet(socket, Inlet(socket.other))
        self._replies = Inlet(socket)
        arrival = (self._requests.inlet, Outlet(socket.other, self._replies), self._request)
        socket.send(HEADER_BYTES + len(self._request or b""), self._arrive_at_server, *arrival)
        self._wake()

    def disconnected(self, reason: str) -> None:
        """There is no connection, or none any more."""
        if self._is_open:
            self._leave((grpc.StatusCode.UNAVAILABLE, reason, ()))

    def hear_initial_metadata(self, metadata: RawMetadata) -> None:
        """The server begins to answer."""
        if self._initial_metadata is None:
            self._initial_metadata = metadata
            self._wake()

    def hear_status(self, reply: bytes | None, status: Status) -> None:
        """The server ends the call, with its one reply where it has one."""
        if not self._is_open or self._replies is None:
            return
        self._release()
        if reply is not None:
            self._replies.arrive(reply)
        self._replies.finish()
        self._last = status
        self._settle()

    def _arrive_at_server(self, requests: Inlet, replies: Outlet, request: bytes | None) -> None:
        if request is not None:
            requests.arrive(request)
            requests.finish()
        connection = cast("ServerConnection", replies.socket.holder)
        connection.server.begin(connection, self, requests, replies)

    def _end_at_server(self) -> None:
        if self.server_call is not None:
            self.server_call.disconnected("")

    # Its own.

    @property
    def _is_open(self) -> bool:
        """Whether it waits for the server's word, or for a connection."""
        return not self.done() if self._connection is None else self in self._connection.calls

    async def _open(self, metadata: RawMetadata, request: bytes | None = None) -> None:
        self.metadata = tuple(Metadatum(*pair) for pair in metadata)
        self._request = request
        if not self.done():
            self._want(self)
        while self._connection is None and not self.done():
            await self._change()

    async def _only_reply(self) -> bytes | None:
        reply = await self.receive_serialized_message()
        await self.status()
        return None if reply is cygrpc.EOF else reply

    def _expire(self) -> None:
        self._abandon((grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ()))

    def _abandon(self, status: Status) -> None:
        if self._connection is not None:
            self._connection.socket.send(FRAME_BYTES, self._end_at_server)
        self._leave(status)

    def _leave(self, status: Status) -> None:
        """Ends the call without the server's word: what was not read is lost."""
        self._release()
        self._last = None
        if self._replies is not None:
            self._replies.end()
        self._set_status(status)

    def _release(self) -> None:
        """Nothing can be sent any more, and neither the connection's end nor the deadline matters."""
        if self._connection is not None:
            self._connection.calls.pop(self, None)
        if self._expiry is not None:
            self._expiry.cancel()
        if self._requests is not None:
            self._requests.end()

    def _settle(self) -> None:
        """The server's status counts once everything before it was read."""
        if self._last is not None and self._replies is not None and self._replies.is_empty:
            status, self._last = self._last, None
            self._set_status(status)

    def _set_status(self, status: Status, debug_text: str = "") -> None:
        code, details, trailing_metadata = status
        self._status = cygrpc.AioRpcStatus(code.value[0], details, trailing_metadata, debug_text)
        if self._initial_metadata is None:
            self._initial_metadata = ()
        self._wake()
        callbacks, self._done_callbacks = self._done_callbacks, []
        for callback in callbacks:
            callback()

    async def _change(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
