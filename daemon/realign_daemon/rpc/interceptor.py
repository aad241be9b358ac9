"""FaultInterceptor: turns what a servicer raises into a status with one sentence and an exit code."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc.aio
import structlog

from realign_daemon.errors import BadInput, RealignError
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.faults import EXIT_KEY, fault_of
from realign_daemon.rpc.handlers import Handler, replies, rewrapped

log = structlog.get_logger()


class _Malformed:
    """Stands for bytes that are no message; gRPC would answer those with the class name of its parser's exception."""


class FaultInterceptor(grpc.aio.ServerInterceptor):
    """RealignError becomes its fault; whatever else is raised is logged and tells the caller nothing."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler, guarded. An unknown method stays unknown."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        parsed = handler._replace(request_deserializer=_lenient(handler.request_deserializer))
        return rewrapped(
            parsed,
            one=lambda behaviour: _guarded(behaviour, method),
            many=lambda behaviour: _guarded_stream(behaviour, method),
        )


def _lenient(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if parse is None:
        return None

    def parse_or_mark(data: bytes) -> Any:  # noqa: ANN401 - any message
        try:
            return parse(data)
        except Exception:  # noqa: BLE001 - the parser's errors have no common class
            return _Malformed()

    return parse_or_mark


def _guarded(behaviour: Callable[..., Any], method: str) -> Callable[[Any, Context], Awaitable[Any]]:
    async def call(request: Any, context: Context) -> Any:  # noqa: ANN401 - any message
        try:
            return await behaviour(_checked(request), context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of a call
            await _abort(context, error, method)

    return call


def _guarded_stream(behaviour: Callable[..., Any], method: str) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - any message
        try:
            async for reply in replies(behaviour, _checked(request), context):
                yield reply
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of a call
            await _abort(context, error, method)

    return call


def _checked(request: Any) -> Any:  # noqa: ANN401 - a message or an iterator of messages
    if isinstance(request, _Malformed):
        message = "the request is not a message that this realign can read; use the same version on both sides"
        raise BadInput(message)
    return _checked_stream(request) if inspect.isasyncgen(request) or hasattr(request, "__aiter__") else request


async def _checked_stream(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


async def _abort(context: Context, error: Exception, method: str) -> NoReturn:
    fault = fault_of(error)
    if isinstance(error, RealignError):
        log.info("rpc.refused", method=method, reason=fault.message)
    else:
        log.error("rpc.failed", method=method, exc_info=error)
    await context.abort(fault.code, fault.message, ((EXIT_KEY, str(fault.exit_code)),))
