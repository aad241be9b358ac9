"""Job homes: where jobs live. A call about a job goes to its home, and is passed on once at most."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from realign_daemon.errors import NotFound
from realign_daemon.rpc.caller import caller
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.doors import ON_BEHALF
from realign_daemon.rpc.faults import error_of_call
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.members import behalf_header
from realign_proto.v1.curation_pb2_grpc import CurationStub

if TYPE_CHECKING:
    from realign_proto.v1.curation_pb2_grpc import CurationAsyncStub

FORWARDED = "realign-forwarded"  # metadata of a call that another node passed on: it is answered here or not at all
FORWARD_TIMEOUT_S = 1800.0  # a submit waits until the home has the files (2 GB over Wi-Fi take minutes) and parsed them
PASSED_ON = ((FORWARDED, "1"),)

Channel = grpc.aio.Channel
T = TypeVar("T")


def passing_on(own: SpkiHash) -> tuple[tuple[str, str], ...]:
    """Metadata of a call that this node, whose key is `own`, passes on: it is judged by the rights of who made it."""
    return (*PASSED_ON, (ON_BEHALF, behalf_header(caller(), node=own)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Where other nodes are."""

    leader: Callable[[], Channel | None]  # None when this node leads
    home_of: Callable[[str], Channel | None]  # by job id or its beginning; None when unknown or here
    others: Callable[[], tuple[Channel, ...]]
    own: SpkiHash  # this node's key
    channel: Callable[[str], Channel | None] = lambda _: None  # by node id; None when it is not connected


class JobHomes:
    """The homes of jobs that are not homed here."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._told: dict[str, Channel] = {}

    def remember(self, job_id: str, home: Channel) -> None:
        """Notes a job whose home's next beat may not have come yet."""
        self._told[job_id] = home

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Of the call at hand when it is passed on."""
        return passing_on(self._routes.own)

    def asked_by(self, context: Context, reference: str) -> CurationAsyncStub:
        """The home of the job that a call is about.

        Raises:
            NotFound: no node that can be reached has it, or the call was passed on already.
        """
        return self._stub(None if is_forwarded(context) else self._channel(reference), reference)

    def of(self, reference: str) -> CurationAsyncStub:
        """The home of a job that this node itself wants something of. Raises NotFound."""
        return self._stub(self._channel(reference), reference)

    def _channel(self, reference: str) -> Channel | None:
        told = self._told.get(reference)  # closed, and of no use, once its node has gone
        return self._routes.home_of(reference) or (told if told in self._routes.others() else None)

    def _stub(self, channel: Channel | None, reference: str) -> CurationAsyncStub:
        if channel is None:
            message = f"no node that can be reached has a job {reference!r}; `realignctl jobs` lists them"
            raise NotFound(message)
        return CurationStub(channel)


def is_forwarded(context: Context) -> bool:
    """Whether another node passed the call on."""
    return any(key == FORWARDED for key, _ in context.invocation_metadata() or ())


async def passed_on(call: Awaitable[T]) -> T:
    """The other node's answer; its refusal comes back as it was."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error) from error


async def relayed(stream: AsyncIterable[T]) -> AsyncIterator[T]:
    """The other node's stream; its refusal comes back as it was."""
    try:
        async for item in stream:
            yield item
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error) from error
