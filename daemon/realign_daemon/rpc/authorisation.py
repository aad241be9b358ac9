"""Authorisation: lets a call through to its servicer when its caller may make it, and as long as it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import grpc
import grpc.aio
import structlog

from realign_daemon.clock import Clock
from realign_daemon.errors import Full, NotAllowed, RealignError
from realign_daemon.rpc.auditing import record
from realign_daemon.rpc.caller import CALLER
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.doors import Door
from realign_daemon.rpc.faults import EXIT_KEY, fault_of
from realign_daemon.rpc.handlers import Behaviour, Handler, Many, One, replies, rewrapped
from realign_daemon.rpc.quota import Quotas
from realign_daemon.trust.audit import AuditTrail, Deed
from realign_daemon.trust.denials import Denials
from realign_daemon.trust.principal import Principal, Refusal
from realign_daemon.trust.roles import ALLOWED, AUDITED, OWN_JOBS, job_denial

log = structlog.get_logger()

STRANGER = "stranger"
OBJECTS = ("job_id", "member", "node", "role", "name")  # fields by which a request or a reply says what it is about

OwnerOf = Callable[[str], str | None]  # job id or its beginning -> Principal.key of its owner; None when it is not here


@dataclass(slots=True, kw_only=True, eq=False)
class _OpenCall:
    context: Context
    method: str
    task: asyncio.Task[Any] | None


class Authorisation(grpc.aio.ServerInterceptor):
    """One for each listener, between FaultBarrier and FaultInterceptor: what is refused reaches no servicer."""

    def __init__(
        self,
        door: Door,
        *,
        clock: Clock,
        audit: AuditTrail | None = None,
        quotas: Quotas | None = None,
        owner_of: OwnerOf = lambda _: None,
    ) -> None:
        """Without an audit only the log hears of what is done and refused; without quotas anybody calls at any rate."""
        self._door = door
        self._quotas = quotas
        self._clock = clock
        self._audit = audit
        self._owner_of = owner_of
        self._denials = Denials()
        self._open: dict[_OpenCall, None] = {}
        self._cutting: set[asyncio.Task[None]] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler, guarded. A method that there is not is refused like one that nobody may call."""
        method = str(handler_call_details.method)
        handler = await continuation(handler_call_details)
        if handler is None:
            handler = _unserved(method)
        return rewrapped(
            handler,
            one=lambda behaviour: self._guarded(behaviour, method),
            many=lambda behaviour: self._guarded_stream(behaviour, method),
        )

    def review(self) -> None:
        """Ends at once every call whose caller has lost its right to it. To be called after a change of the members."""
        for call in tuple(self._open):
            refusal = self._refusal(call.context, call.method)
            if refusal is not None:
                cutting = asyncio.create_task(self._cut(call, refusal), name=f"authorisation.cut {call.method}")
                self._cutting.add(cutting)
                cutting.add_done_callback(self._cutting.discard)

    def _guarded(self, behaviour: Behaviour, method: str) -> One:
        async def call(request: Any, context: Context) -> Any:  # noqa: ANN401 - any message
            principal = await self._admit(request, context, method)
            opened = self._opened(context, method)
            try:
                reply = await behaviour(self._watched(request, context, method), context)
            finally:
                self._open.pop(opened)
            await self._done(principal, method, request, reply)
            return reply

        return call

    def _guarded_stream(self, behaviour: Behaviour, method: str) -> Many:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - any message
            principal = await self._admit(request, context, method)
            opened = self._opened(context, method)
            is_first = True
            try:
                async for reply in replies(behaviour, self._watched(request, context, method), context):
                    await self._admit_again(context, method)
                    if is_first:
                        await self._done(principal, method, request, reply)
                    is_first = False
                    yield reply
            finally:
                self._open.pop(opened)

        return call

    async def _admit(self, request: Any, context: Context, method: str) -> Principal:  # noqa: ANN401 - any message
        principal = self._door.principal(context)
        if isinstance(principal, Refusal):
            await self._deny(
                context, Deed(actor=principal.who or STRANGER, role="", method=method, outcome=principal.reason)
            )
        reason = self._door.denial(principal, method) or self._job_denial(principal, method, request)
        if reason is not None:
            deed = Deed(
                actor=principal.label, role=principal.role, method=method, object=_object(request), outcome=reason
            )
            await self._deny(context, deed)
        try:
            if self._quotas is not None:
                self._quotas.admit(principal)
        except Full as error:
            await _abort(context, error)
        CALLER.set(principal)
        return principal

    def _job_denial(self, principal: Principal, method: str, request: Any) -> str | None:  # noqa: ANN401 - any message
        """A job that is not here is its home's to judge, which gets the call in the caller's name."""
        reference = getattr(request, "job_id", "")
        if method not in OWN_JOBS or not reference:
            return None
        owner = self._owner_of(reference)
        return None if owner is None else job_denial(principal.role, principal.key, method, owner)

    def _opened(self, context: Context, method: str) -> _OpenCall:
        opened = _OpenCall(context=context, method=method, task=asyncio.current_task())
        self._open[opened] = None
        return opened

    def _watched(self, request: Any, context: Context, method: str) -> Any:  # noqa: ANN401 - a message, or a stream
        return self._watched_stream(request, context, method) if hasattr(request, "__aiter__") else request

    async def _watched_stream(self, requests: AsyncIterator[Any], context: Context, method: str) -> AsyncIterator[Any]:
        async for request in requests:
            await self._admit_again(context, method)
            yield request

    async def _admit_again(self, context: Context, method: str) -> None:
        refusal = self._refusal(context, method)
        if refusal is not None:
            await self._deny(context, refusal)

    def _refusal(self, context: Context, method: str) -> Deed | None:
        """Why the caller of an open call may not go on; None when it may."""
        principal = self._door.principal(context)
        if isinstance(principal, Refusal):
            return Deed(actor=principal.who or STRANGER, role="", method=method, outcome=principal.reason)
        reason = self._door.denial(principal, method)
        if reason is None:
            return None
        return Deed(actor=principal.label, role=principal.role, method=method, outcome=reason)

    async def _cut(self, call: _OpenCall, refusal: Deed) -> None:
        # The status goes out before the handler hears of its end: what that does last cannot keep the caller going.
        with suppress(grpc.aio.BaseError):  # also when the caller has just gone by itself
            await self._deny(call.context, refusal)
        if call.task is not None:
            call.task.cancel()

    async def _deny(self, context: Context, deed: Deed) -> NoReturn:
        log.info("rpc.denied", method=deed.method, actor=deed.actor, reason=deed.outcome)
        written = self._denials.note(deed, now_s=self._clock.continuous())
        try:
            if written is not None:
                await self._record(written)
        finally:
            if deed.method in ALLOWED:
                await _abort(context, NotAllowed(deed.outcome))
            # A newer caller has another way for nodes that do not know a method, and looks for this status.
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, deed.outcome)

    async def _done(self, principal: Principal, method: str, request: Any, reply: Any) -> None:  # noqa: ANN401 - any message
        if method in AUDITED:
            what = _object(reply) or _object(request)
            await self._record(Deed(actor=principal.label, role=principal.role, method=method, object=what))

    async def _record(self, deed: Deed) -> None:
        if self._audit is not None:
            await record(self._audit, deed)


async def _abort(context: Context, error: RealignError) -> NoReturn:
    fault = fault_of(error)
    await context.abort(fault.code, fault.message, ((EXIT_KEY, str(fault.exit_code)),))


def _object(message: object) -> str:
    said = (getattr(message, name, "") for name in OBJECTS)
    return next((value for value in said if isinstance(value, str) and value), "")


def _unserved(method: str) -> Handler:
    """A handler for what no servicer has. Doors let callers through to it where other daemons have one."""

    async def nothing(_requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        name = method.rpartition("/")[2]
        sentence = f"this node does not serve {name}: it is a witness, or of another version; ask another node"
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, sentence, ((EXIT_KEY, str(NotAllowed.exit_code)),))
        yield b""

    return cast("Any", grpc).stream_stream_rpc_method_handler(nothing)
