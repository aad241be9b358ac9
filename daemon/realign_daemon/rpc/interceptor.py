"""FaultInterceptor: turns what a servicer raises into a status with one sentence and an exit code.

FaultBarrier does the same, before all other interceptors, for what they raise themselves.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, cast

import grpc
import grpc.aio
import structlog

from realign_daemon.errors import BadInput, RealignError
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.faults import EXIT_KEY, fault_of
from realign_daemon.rpc.handlers import Behaviour, Handler, Many, One, replies, rewrapped
from realign_daemon.shortage import shortage

log = structlog.get_logger()


class _Malformed:
    """Stands for bytes that are no message; gRPC would answer those with the class name of its parser's exception."""


class FaultInterceptor(grpc.aio.ServerInterceptor):
    """RealignError becomes its fault; whatever else is raised is logged and tells the caller nothing."""

    def __init__(self, node_name: str = "this node") -> None:
        self._node_name = node_name

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler, guarded. An unknown method stays unknown."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        parsed = handler._replace(request_deserializer=_lenient(handler.request_deserializer))
        boundary = _Boundary(str(handler_call_details.method), self._node_name)
        return rewrapped(
            parsed,
            one=lambda behaviour: boundary.one(_checking(behaviour)),
            many=lambda behaviour: boundary.many(_checking(behaviour)),
        )


class FaultBarrier(grpc.aio.ServerInterceptor):
    """Lets no exception of an interceptor behind it out to gRPC, which would name its class to the caller."""

    def __init__(self, node_name: str = "this node") -> None:
        self._node_name = node_name

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler, guarded, or one that fails. An unknown method stays unknown."""
        boundary = _Boundary(str(handler_call_details.method), self._node_name)
        try:
            handler = await continuation(handler_call_details)
        except Exception as error:  # noqa: BLE001 - the boundary of a call
            return boundary.failing(error)
        return None if handler is None else rewrapped(handler, one=boundary.one, many=boundary.many)


class _Boundary:
    """Of the calls of one method."""

    def __init__(self, method: str, node_name: str) -> None:
        self._method = method
        self._node_name = node_name

    def one(self, behaviour: Behaviour) -> One:
        async def call(request: Any, context: Context) -> Any:  # noqa: ANN401 - any message
            try:
                return await behaviour(request, context)
            except Exception as error:
                if _has_ended(error):
                    raise
                await self._abort(context, error)

        return call

    def many(self, behaviour: Behaviour) -> Many:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - any message
            try:
                async for reply in replies(behaviour, request, context):
                    yield reply
            except Exception as error:
                if _has_ended(error):
                    raise
                await self._abort(context, error)

        return call

    def failing(self, error: Exception) -> Handler:
        async def call(_requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            await self._abort(context, error)
            yield b""

        return cast("Any", grpc).stream_stream_rpc_method_handler(call)

    async def _abort(self, context: Context, error: Exception) -> NoReturn:
        fault = fault_of(error, node=self._node_name)
        if isinstance(error, RealignError) or shortage(error):
            log.info("rpc.refused", method=self._method, reason=fault.message)
        else:
            log.error("rpc.failed", method=self._method, exc_info=error)
        await context.abort(fault.code, fault.message, ((EXIT_KEY, str(fault.exit_code)),))


def _has_ended(error: Exception) -> bool:
    """Whether gRPC says by it that the call has ended: the status is on its way, or there is nobody to tell."""
    return isinstance(error, grpc.aio.BaseError) and not isinstance(error, grpc.aio.UsageError)


def _lenient(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if parse is None:
        return None

    def parse_or_mark(data: bytes) -> Any:  # noqa: ANN401 - any message
        try:
            return parse(data)
        except Exception:  # noqa: BLE001 - the parser's errors have no common class
            return _Malformed()

    return parse_or_mark


def _checking(behaviour: Behaviour) -> Behaviour:
    def call(request: Any, context: Context) -> Any:  # noqa: ANN401 - any message
        return behaviour(_checked(request), context)

    return call


def _checked(request: Any) -> Any:  # noqa: ANN401 - a message or an iterator of messages
    if isinstance(request, _Malformed):
        message = "the request is not a message that this realign can read; use the same version on both sides"
        raise BadInput(message)
    return _checked_stream(request) if inspect.isasyncgen(request) or hasattr(request, "__aiter__") else request


async def _checked_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)
