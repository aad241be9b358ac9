"""Message flow: the messages of one call in one direction, from an outlet at the sender to an inlet at the receiver."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from realign_daemon.testing.grpc_core import cygrpc
from realign_daemon.testing.memory_socket import Socket

WINDOW_BYTES = 4 * 1024 * 1024  # what grpcio 1.85.1 takes before a writer waits for the reader (measured: 4 to 6 MiB)
WRITE_S = 0.000_2  # that a write takes while others travel (0.28 ms measured on two shared cores)
FRAME_BYTES = 14  # what HTTP/2 and gRPC put before a message


class Inlet:
    """Where messages arrive. One task reads."""

    def __init__(self, socket: Socket) -> None:
        """`socket` is the receiver's."""
        self.outlet: Outlet
        self._socket = socket
        self._inbox = deque[bytes]()
        self._is_ended = False
        self._reader: asyncio.Future[None] | None = None
        self._unreported_bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether everything that arrived was taken."""
        return not self._inbox

    async def take(self) -> bytes | None:
        """The next message; None when no more will come."""
        if self._inbox:
            await asyncio.sleep(0)  # the real one gives way, too, even when it need not wait
        assert self._reader is None or self._reader.done(), "two tasks read from one call"
        while not self._inbox and not self._is_ended:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if not self._inbox:
            return None
        data = self._inbox.popleft()
        self._unreported_bytes += len(data)
        if self._unreported_bytes * 2 >= WINDOW_BYTES:
            self._socket.send(FRAME_BYTES, self.outlet.widen, self._unreported_bytes)
            self._unreported_bytes = 0
        return data

    def arrive(self, data: bytes) -> None:
        """A message came."""
        if not self._is_ended:
            self._inbox.append(data)
            self._wake()

    def finish(self) -> None:
        """No more will come after those that did."""
        self._is_ended = True
        self._wake()

    def end(self) -> None:
        """The call is over: what was not taken is lost."""
        self._inbox.clear()
        self.finish()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Outlet:
    """Where messages are sent from."""

    def __init__(self, socket: Socket, inlet: Inlet) -> None:
        """`socket` is the sender's."""
        inlet.outlet = self
        self.inlet = inlet
        self.socket = socket
        self._unread_bytes = 0
        self._is_over = False
        self._writers: list[asyncio.Future[None]] = []

    async def put(self, data: bytes) -> None:
        """Sends a message once there is room for it. Raises ExecuteBatchError when the call is over."""
        await asyncio.sleep(WRITE_S if self.socket.is_busy else 0.0)
        while self._unread_bytes >= WINDOW_BYTES and not self._is_over:
            writer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._writers.append(writer)
            await writer
        if self._is_over:
            raise cygrpc.ExecuteBatchError("the call is over")
        self._unread_bytes += len(data)
        self.socket.send(len(data) + FRAME_BYTES, self.inlet.arrive, data)

    def finish(self) -> None:
        """Sends word that no more will come."""
        self.socket.send(FRAME_BYTES, self.inlet.finish)

    def widen(self, size: int) -> None:
        """The receiver took so many bytes."""
        self._unread_bytes -= size
        self._wake()

    def end(self) -> None:
        """The call is over: nothing can be sent any more."""
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.done():
                writer.set_result(None)


class Call(Protocol):
    """Either half of a call."""

    def disconnected(self, reason: str) -> None:
        """The connection is of no use any more."""
        ...


class Connection:
    """A socket and the calls that go over it."""

    def __init__(self, socket: Socket, *, certificate: bytes | None = None) -> None:
        """`certificate` of the client, PEM, where it shows one."""
        self.socket = socket
        self.certificate = certificate
        self.takes_calls = True
        self.calls: dict[Call, None] = {}
        socket.holder = self

    def go_away(self) -> None:
        """No new calls are welcome; those that run may end."""
        self.takes_calls = False

    def broken(self, reason: str) -> None:
        """See Holder."""
        self.takes_calls = False
        for call in list(self.calls):
            call.disconnected(reason)
