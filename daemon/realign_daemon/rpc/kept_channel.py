"""Kept channel: one that its callers hold over an await, while others may close it.

On a closed channel gRPC raises UsageError for a new call, and cancels those under way, which a caller cannot tell from
own cancelling. Here both fail as calls to a node that cannot be reached. A stub that is made for a closed channel reads
memory that was freed, and may end the process (github.com/grpc/grpc/pull/43455): here it does not touch the channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import grpc
import grpc.aio

from realign_daemon.cancellation import heeded
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.rpc.channels import Channel, OpenChannel

CLOSED = "the connection to the node was closed"


def keeping(open_channel: OpenChannel) -> OpenChannel:
    """Opens channels that may be kept."""

    def opened(address: Address, expects: NodeId | None) -> Channel:
        return kept(open_channel(address, expects))

    return opened


def kept(channel: Channel) -> Channel:
    """The channel, to be kept; who closes it closes this one."""
    return cast("Channel", _KeptChannel(channel))


class _KeptChannel:
    """As much of a channel as stubs use."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.is_closed = False

    async def close(self, grace: float | None = None) -> None:
        """See grpc.aio.Channel."""
        self.is_closed = True
        await self._channel.close(grace)

    def unary_unary(self, *method: Any, **options: Any) -> Callable[..., _KeptCall]:  # noqa: ANN401 - a stub's
        """See grpc.aio.Channel."""
        return self._kept("unary_unary", *method, **options)

    def unary_stream(self, *method: Any, **options: Any) -> Callable[..., _KeptCall]:  # noqa: ANN401 - a stub's
        """See grpc.aio.Channel."""
        return self._kept("unary_stream", *method, **options)

    def stream_unary(self, *method: Any, **options: Any) -> Callable[..., _KeptCall]:  # noqa: ANN401 - a stub's
        """See grpc.aio.Channel."""
        return self._kept("stream_unary", *method, **options)

    def stream_stream(self, *method: Any, **options: Any) -> Callable[..., _KeptCall]:  # noqa: ANN401 - a stub's
        """See grpc.aio.Channel."""
        return self._kept("stream_stream", *method, **options)

    def _kept(self, kind: str, *method: Any, **options: Any) -> Callable[..., _KeptCall]:  # noqa: ANN401 - a stub's
        begin = None if self.is_closed else getattr(self._channel, kind)(*method, **options)
        return partial(_KeptCall, self, begin)


class _KeptCall:
    """As much of a call, of any of the four kinds, as this package uses."""

    def __init__(self, channel: _KeptChannel, begin: Callable[..., Any] | None, *request: Any, **options: Any) -> None:  # noqa: ANN401 - a stub's
        self._channel = channel
        self._call: Any = None if begin is None or channel.is_closed else begin(*request, **options)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._answer().__await__()

    async def __aiter__(self) -> AsyncGenerator[Any]:
        with self._unreachable_once_closed():
            async for message in self._call:
                yield message

    async def write(self, message: object) -> None:
        """See grpc.aio.StreamStreamCall."""
        with self._unreachable_once_closed():
            await self._call.write(message)

    def cancel(self) -> bool:
        """See grpc.aio.Call."""
        return self._call is not None and self._call.cancel()

    async def _answer(self) -> Any:  # noqa: ANN401 - what the method answers
        with self._unreachable_once_closed():
            return await self._call

    @contextmanager
    def _unreachable_once_closed(self) -> Generator[None]:
        """Raises AioRpcError for all that a closed channel, or a call that the other side has ended, makes of it.

        CancelledError where the caller is cancelled meanwhile, whatever became of the call.
        """
        if self._call is None:
            raise _unreachable()
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            with heeded():
                yield
        except asyncio.InvalidStateError as error:  # a write after the other side's end
            raise _unreachable() from error
        except (grpc.aio.UsageError, asyncio.CancelledError) as error:
            if not self._channel.is_closed or (task is not None and task.cancelling() > before):
                raise
            raise _unreachable() from error


def _unreachable() -> grpc.aio.AioRpcError:
    none = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, none, none, details=CLOSED)
