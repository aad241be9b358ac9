"""Upload: a submit as it arrives: the request first, then bytes of those sources that were not sent before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from realign_daemon.errors import BadInput, Unreachable
from realign_proto.v1 import curation_pb2 as pb

T = TypeVar("T")

IDLE_S = 120.0  # a client reads its disk between two pieces, and no more


async def first(parts: AsyncIterator[pb.SubmitRequest]) -> pb.JobRequest:
    """The request that the parts begin with. Raises BadInput when they begin otherwise."""
    async for part in flowing(parts):
        if part.HasField("request"):
            return part.request
        break
    raise BadInput("the submit begins with no request; use a client of the same version")


async def begun_with(request: pb.JobRequest, parts: AsyncIterator[pb.SubmitRequest]) -> AsyncIterator[pb.SubmitRequest]:
    """The submit again, for the node that it is passed on to."""
    yield pb.SubmitRequest(request=request)
    async for part in parts:
        yield part


async def flowing(parts: AsyncIterator[T]) -> AsyncIterator[T]:
    """The parts. Raises Unreachable when the next one does not come in time."""
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Unreachable(
                f"nothing has come for {IDLE_S:.0f} s; send it again, and what is here is not sent twice"
            ) from error
        yield part
