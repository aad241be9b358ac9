"""Handlers: what a gRPC server runs for a method, and how an interceptor puts itself around it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from realign_daemon.rpc.context import Context

# gRPC leaves the types of requests and replies to the generated code; here they only pass through.
Handler = Any
Behaviour = Callable[..., Any]
One = Callable[[Any, Context], Awaitable[Any]]
Many = Callable[[Any, Context], AsyncIterator[Any]]


def rewrapped(handler: Handler, *, one: Callable[[Behaviour], One], many: Callable[[Behaviour], Many]) -> Handler:
    """The handler with its behaviour inside `one`, or inside `many` where it answers with a stream."""
    asked = "stream" if handler.request_streaming else "unary"
    name = f"{asked}_{'stream' if handler.response_streaming else 'unary'}"
    inside = many if handler.response_streaming else one
    return handler._replace(**{name: inside(getattr(handler, name))})


async def replies(behaviour: Behaviour, request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - any message
    """What the behaviour answers; nothing of one that writes to the context by itself, as gRPC's own servicers do."""
    answered = behaviour(request, context)
    if inspect.isawaitable(answered):
        await answered
        return
    async for reply in answered:
        yield reply
