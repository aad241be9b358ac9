"""ServerCall: the server's half of a call over the simulated network, and the context that its handler gets.

gRPC does this half in its C core and in Cython, where nothing can be put in its place; what it does here was seen from
outside, and tests/contract/testing holds both to it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
import structlog

from realign_daemon.testing.grpc_core import cygrpc
from realign_daemon.testing.memory_call import HEADER_BYTES, MemoryCall, RawMetadata
from realign_daemon.testing.memory_flow import Inlet, Outlet

if TYPE_CHECKING:
    from realign_daemon.testing.memory_server import MemoryServer, ServerConnection

log = structlog.get_logger()

PLAIN = {"transport_security_type": [b"insecure"], "security_level": [b"TSI_SECURITY_NONE"]}
ENCRYPTED = {"transport_security_type": [b"ssl"], "security_level": [b"TSI_PRIVACY_AND_INTEGRITY"]}


class ServerCall:
    """One call; a ServicerContext to those who serve it."""

    def __init__(
        self, server: MemoryServer, connection: ServerConnection, call: MemoryCall, requests: Inlet, replies: Outlet
    ) -> None:
        self.task: asyncio.Task[None]
        self._server = server
        self._connection = connection
        self._call = call
        self._requests = requests
        self._replies = replies
        self._send = replies.socket.send
        self._handler: Any = None  # grpc leaves the types of requests and replies to the generated code
        self._aborted: grpc.aio.AbortError | None = None
        self._is_ended = False  # the status was sent
        self._is_begun = False  # the initial metadata was sent
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing_metadata: RawMetadata = ()
        self._loop = asyncio.get_running_loop()
        self._expiry = None
        if call.deadline_s is not None:
            self._expiry = self._loop.call_at(call.deadline_s, self.disconnected, "")

    async def serve(self, *, refuses: bool) -> None:
        """Finds the handler, runs it unless the server has too much to do, and sends what comes of it."""
        try:
            await self._serve(refuses=refuses)
        except (grpc.aio.AbortError, asyncio.CancelledError, cygrpc.ExecuteBatchError):
            pass  # the status is sent already, or nobody is left who wants it
        except Exception as error:  # noqa: BLE001 - the boundary of a call
            log.warning("simulation.call_failed", method=self._call.path, reason=repr(error))
            if not self._is_ended:
                self._end(self._code or grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}")
        finally:
            self._release()

    def disconnected(self, reason: str) -> None:  # noqa: ARG002 - see Call
        """The client cancelled, or cannot be reached: what the handler reads ends, then it is cancelled."""
        self._release()
        if not self._is_ended:
            self._loop.call_soon(self._cancel)

    def stop(self, reason: str) -> None:
        """The server ends the call."""
        if not self._is_ended:
            self._send(HEADER_BYTES, self._call.hear_status, None, (grpc.StatusCode.UNAVAILABLE, reason, ()))
        self.disconnected(reason)

    # What a handler may ask of its context.

    async def read(self) -> Any:  # noqa: ANN401 - a message, or EOF
        """The next request, or EOF."""
        self._check()
        data = await self._requests.take()
        self._check()
        return cygrpc.EOF if data is None else _passed(self._handler.request_deserializer, data)

    async def write(self, message: object) -> None:
        """Sends a reply once there is room for it."""
        self._check()
        data = _passed(self._handler.response_serializer, message)
        if not self._is_begun:
            await self.send_initial_metadata(())
        await self._replies.put(data)

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str | bytes]]) -> None:
        """Begins the answer."""
        self._check()
        if self._is_begun:
            raise cygrpc.UsageError("Send initial metadata failed: already sent")
        self._is_begun = True
        self._send(HEADER_BYTES, self._call.hear_initial_metadata, tuple(initial_metadata))

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        """Ends the call with this status."""
        if self._aborted is not None:
            raise cygrpc.UsageError("Abort already called!")
        self._aborted = grpc.aio.AbortError("Locally aborted.")
        self._trailing_metadata = tuple(trailing_metadata) or self._trailing_metadata
        self._end(code, details or self._details)
        raise self._aborted

    def set_trailing_metadata(self, trailing_metadata: Sequence[tuple[str, str | bytes]]) -> None:
        """To be sent with the status."""
        self._trailing_metadata = tuple(trailing_metadata)

    def trailing_metadata(self) -> RawMetadata:
        """What was set."""
        return self._trailing_metadata

    def invocation_metadata(self) -> RawMetadata:
        """What the client sent along."""
        return self._call.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """To be sent at the end."""
        self._code = code

    def code(self) -> grpc.StatusCode | None:
        """What was set."""
        return self._code

    def set_details(self, details: str) -> None:
        """To be sent at the end."""
        self._details = details

    def details(self) -> str:
        """What was set."""
        return self._details

    def peer(self) -> str:
        """The address that the client dialled from."""
        return f"ipv4:{self._replies.socket.peer}"

    def auth_context(self) -> dict[str, list[bytes]]:
        """Whom the client's certificate names."""
        certificate = self._connection.client_certificate
        return {**ENCRYPTED, "x509_pem_cert": [certificate]} if certificate else dict(PLAIN)

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline."""
        return self._call.time_remaining()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Calls it with this once the handler has ended."""
        done = partial(callback, self)
        self.task.add_done_callback(lambda _: done())

    def done(self) -> bool:
        """Whether the status was sent."""
        return self._is_ended

    def cancelled(self) -> bool:
        """Whether the handler set CANCELLED; a client that left is not seen here, in gRPC neither."""
        return self._code is grpc.StatusCode.CANCELLED

    # Its own.

    async def _serve(self, *, refuses: bool) -> None:
        self._handler = await self._server.find(self._call.path, self._call.metadata)
        if self._handler is None:
            self._end(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        elif refuses:
            self._end(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        elif self._handler.request_streaming:
            await self._answer(self._iterate())
        else:
            data = await self._requests.take()
            if data is not None:
                await self._answer(_passed(self._handler.request_deserializer, data))

    async def _answer(self, request: Any) -> None:  # noqa: ANN401 - a message, or an iterator of messages
        handler = self._handler
        data = None
        if handler.response_streaming:
            behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
            if inspect.iscoroutinefunction(behaviour):
                await behaviour(request, self)
            else:
                async for message in behaviour(request, self):
                    await self.write(message)
        else:
            behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
            message = await behaviour(request, self)
            data = _passed(handler.response_serializer, message) if self._code in (None, grpc.StatusCode.OK) else None
        self._check()
        self._end(self._code or grpc.StatusCode.OK, self._details, data)

    async def _iterate(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not cygrpc.EOF:
            yield message

    def _check(self) -> None:
        if self._aborted is not None:
            raise self._aborted
        if self._is_ended:
            raise cygrpc.UsageError("RPC already finished.")

    def _end(self, code: grpc.StatusCode, details: str, data: bytes | None = None) -> None:
        self._is_ended = True
        status = (code, details, self._trailing_metadata)
        self._send(HEADER_BYTES + len(data or b""), self._call.hear_status, data, status)

    def _release(self) -> None:
        self._requests.end()
        self._replies.end()
        self._connection.calls.pop(self, None)
        if self._expiry is not None:
            self._expiry.cancel()

    def _cancel(self) -> None:
        if not self._is_ended:
            self.task.cancel()


def _passed(transform: Callable[[Any], Any] | None, message: Any) -> Any:  # noqa: ANN401 - a message or its bytes
    return message if transform is None else transform(message)
