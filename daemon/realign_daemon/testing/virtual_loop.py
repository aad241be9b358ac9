"""VirtualLoop: an event loop whose time is a number and whose luck comes from one seed: a run can be had again."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import heapq
import math
import random
import struct
import threading
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, NoReturn, TypeVar, TypeVarTuple, cast

from realign_daemon.testing.virtual_process import CURRENT, VirtualProcess, VirtualTask, discard

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STUCK_CALLBACKS = 50_000  # at one moment; the busiest moment of a real cluster takes some hundreds
THREAD_S = 0.002  # the longest wait for a free thread; what it then computes takes no virtual time
STALE_TIMERS = 64  # cancelled ones that are kept before a sweep is worth it
STALE_TASKS = 256  # that are kept at least, done or not
DAY_S = 86_400.0
END_S = 60.0  # that the tasks left at the end get to wind up
NAMED = 8  # tasks or callbacks that an error names

_MOMENT = struct.Struct("<dI").pack  # what the trace has of every moment: when, and how many callbacks ran

FORBIDDEN = (
    *("add_reader", "remove_reader", "add_writer", "remove_writer", "add_signal_handler", "remove_signal_handler"),
    *("create_connection", "create_server", "create_unix_connection", "create_unix_server", "create_datagram_endpoint"),
    *("connect_accepted_socket", "connect_read_pipe", "connect_write_pipe", "start_tls", "sendfile", "sock_sendfile"),
    *("sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendto"),
    *("sock_connect", "sock_accept", "getaddrinfo", "getnameinfo", "subprocess_exec", "subprocess_shell"),
)


class BeyondTheSimulation(RuntimeError):
    """What runs asked for a socket, a subprocess, a signal or another thread, none of which virtual time can hold."""


class NeverEnds(RuntimeError):
    """The run hangs: everything waits, or callbacks follow each other at one moment, or its virtual time is up."""


class VirtualLoop(BaseEventLoop):
    """Runs callbacks one after another; time moves on to the next timer once there is none left to run.

    Callbacks that are ready at once run in an order drawn from the seed. What is kept: those that one callback
    scheduled (all waiters of an Event, both getters that one task fed) stay in their order, as `call_soon` promises;
    none runs in the turn in which it was scheduled; and no timer runs before an earlier one. The order among those that
    different callbacks scheduled, and among timers of one moment, is nobody's promise and is what gets mixed.

    The garbage collector does not run meanwhile: when it closes what was forgotten is not part of the seed.
    """

    _stopping: bool  # asyncio's: run_until_complete sets it

    def __init__(self, seed: int, *, limit_s: float, record: list[str] | None = None) -> None:
        super().__init__()
        self.set_debug(enabled=False)
        self.chance = random.Random(seed)  # noqa: S311 - luck that can be had again, no secret
        self._now_s = 0.0
        self._limit_s = limit_s
        self._record = record
        self._thread = threading.get_ident()
        self._trace = hashlib.blake2b(digest_size=8)
        self._ready: list[Any] = []  # what the callback that runs has scheduled so far
        self._groups: list[list[Any]] = []  # for the next turn: what each callback of this one scheduled
        self._timers: list[tuple[float, int, Any]] = []
        self._stale = 0
        self._numbers = 0
        self._at_this_moment = 0
        self._processes: list[VirtualProcess] = []
        self._tasks: list[VirtualTask[Any]] = []  # those that were not done at the last sweep, and newer ones
        self._sweep_at = STALE_TASKS

    @property
    def trace_hash(self) -> str:
        """Equal for two runs that did the same at the same times."""
        trace = self._trace.copy()
        trace.update(_MOMENT(self._now_s, self._at_this_moment))
        return trace.hexdigest()

    def note(self, event: str) -> None:
        """Makes the event part of the trace."""
        self._trace.update(event.encode())
        if self._record is not None:
            self._record.append(f"{self._now_s:.6f} {event}")

    def process(self, name: str) -> VirtualProcess:
        """A new one, running."""
        process = VirtualProcess(self, name)
        self._processes.append(process)
        return process

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See AbstractEventLoop."""
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See AbstractEventLoop."""
        handle = _TimerHandle(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See AbstractEventLoop."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See AbstractEventLoop. There are no other threads here."""
        if threading.get_ident() != self._thread:
            _forbidden("call_soon_threadsafe from another thread")
        return self.call_soon(callback, *args, context=context)

    def create_task(
        self,
        coro: Any,  # noqa: ANN401 - asyncio's own
        *,
        name: object = None,
        context: Context | None = None,
    ) -> VirtualTask[Any]:
        """See AbstractEventLoop."""
        self._numbers += 1
        task = VirtualTask(coro, loop=self, number=self._numbers, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > self._sweep_at:
            self._sweep_at = STALE_TASKS + 2 * len(self.own_tasks())
        return task

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - there is one thread
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Runs it on this thread a moment later; the result comes in a turn after that."""
        future: asyncio.Future[T] = self.create_future()

        def compute() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)

        self.call_later(self.chance.random() * THREAD_S, compute)
        return future

    # What a VirtualProcess asks.

    def own_tasks(self) -> list[VirtualTask[Any]]:
        """Those that are not done, oldest first."""
        self._tasks = [task for task in self._tasks if not task.done()]
        return list(self._tasks)

    def run_soon(self, handles: list[asyncio.Handle]) -> None:
        """Runs these, in this order."""
        self._groups.append(list[Any](handles))

    def take_timers(self, process: VirtualProcess) -> list[tuple[float, int, Any]]:
        """Takes out those that the process waits for."""
        taken = [timer for timer in self._timers if timer[2]._context.get(CURRENT) is process]  # noqa: SLF001
        if taken:
            self._timers = [timer for timer in self._timers if timer[2]._context.get(CURRENT) is not process]  # noqa: SLF001
            heapq.heapify(self._timers)
        return taken

    def put_timers(self, timers: list[tuple[float, int, Any]], *, later_s: float) -> None:
        """Puts them back, so much later."""
        for when_s, number, handle in timers:
            heapq.heappush(self._timers, (when_s + later_s, number, handle))

    # The loop.

    def _run_once(self) -> None:
        turn = self._turn()
        self._at_this_moment += len(turn)
        if self._at_this_moment > STUCK_CALLBACKS:
            message = f"{STUCK_CALLBACKS} callbacks ran at {self._now_s:.3f} s; some of them: {turn[:NAMED]}"
            raise NeverEnds(message)
        groups = self._groups
        for handle in turn:
            if handle._cancelled:  # noqa: SLF001 - the loop's own to ask
                continue
            context = handle._context  # noqa: SLF001
            process = context.get(CURRENT)
            if process is not None and not process.is_running:
                process.held.append(handle)
                continue
            scheduled: list[Any] = []
            self._ready = scheduled
            # An exception of a bare callback ends the run: in a simulation it is a bug, not a line in a log.
            context.run(handle._callback, *handle._args)  # noqa: SLF001
            if scheduled:
                groups.append(scheduled)
        self._ready = []

    def _turn(self) -> list[Any]:
        """The callbacks of the next turn, in order; moves the time when there is none at this moment."""
        groups, self._groups = self._groups, []
        if self._ready:
            groups.append(self._ready)
        if not groups and not self._stopping:
            self._advance()
        timers, now_s = self._timers, self._now_s
        while timers and timers[0][0] <= now_s:
            groups.append([heapq.heappop(timers)[2]])
        if len(groups) < 2:  # noqa: PLR2004 - nothing to mix
            return groups[0] if groups else []
        chance = self.chance.random
        drawn = sorted((chance(), index) for index, group in enumerate(groups) for _ in group)
        rest = [iter(group) for group in groups]
        return [next(rest[index]) for _, index in drawn]

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001
            heapq.heappop(timers)
        if not timers:
            waiting = ", ".join(task.get_name() for task in self.own_tasks()[:NAMED])
            message = f"nothing can happen any more at {self._now_s:.3f} s; these tasks wait: {waiting}"
            raise NeverEnds(message)
        if timers[0][0] > self._limit_s:
            message = f"the run is not over after {self._limit_s:.0f} virtual seconds"
            raise NeverEnds(message)
        self._trace.update(_MOMENT(self._now_s, self._at_this_moment))
        self._now_s = timers[0][0]
        self._at_this_moment = 0

    def stale_timer(self) -> None:
        """A timer was cancelled."""
        self._stale += 1
        if self._stale > STALE_TIMERS and self._stale * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if not timer[2]._cancelled]  # noqa: SLF001
            heapq.heapify(self._timers)
            self._stale = 0

    async def cancel_the_rest(self) -> None:
        """Cancels every task but the caller's, as asyncio.run does at its end; those that stand still are left."""
        self._limit_s = math.inf
        rest = [task for task in self.own_tasks() if task.process is None or task.process.is_running]
        rest.remove(cast("VirtualTask[Any]", asyncio.current_task()))
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=END_S)

    def throw_away(self) -> None:
        """Closes what is left without running it, and the loop."""
        discard(self.own_tasks())
        for process in self._processes:
            process.bury()
        self.close()


class _Handle(asyncio.Handle):
    """One that does not ask for asyncio's debug mode: there are thousands in a second.

    It sets what asyncio.Handle sets, most of which the type stubs do not know.
    """

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context  # type: ignore[attr-defined]
        self._loop = loop
        self._callback = callback  # type: ignore[attr-defined]
        self._args = args
        self._cancelled = False
        self._repr = None  # type: ignore[attr-defined]
        self._source_traceback = None  # type: ignore[attr-defined]


class _TimerHandle(asyncio.TimerHandle):
    """See _Handle."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        _Handle.__init__(cast("_Handle", self), callback, args, loop, context)
        self._when = when  # type: ignore[attr-defined]
        self._scheduled = False  # type: ignore[attr-defined]

    def cancel(self) -> None:
        """See TimerHandle."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[attr-defined]
            self._loop.stale_timer()


def _forbidden(name: str) -> NoReturn:
    message = f"{name} reaches out of the simulation; give the code under test a stand-in from realign_daemon.testing"
    raise BeyondTheSimulation(message)


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        _forbidden(name)

    return refuse


for _name in FORBIDDEN:
    setattr(VirtualLoop, _name, _refusal(_name))


def run(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, T]],
    seed: int,
    *,
    limit_s: float = DAY_S,
    record: list[str] | None = None,
) -> tuple[T, str]:
    """What main returned, and the hash of all that happened until then; the same seed gives the same hash.

    `record` is filled with the noted events, each with its time: to compare two runs that should have been equal.

    Raises:
        NeverEnds: main did not end. Whatever main raises comes through.
    """
    collects = gc.isenabled()
    gc.disable()
    loop = VirtualLoop(seed, limit_s=limit_s, record=record)
    try:
        result = loop.run_until_complete(main(loop))
        trace_hash = loop.trace_hash
        loop.run_until_complete(loop.cancel_the_rest())
    finally:
        loop.throw_away()
        if collects:
            gc.enable()
    return result, trace_hash
