"""VirtualProcess: what stops, sleeps and dies together in a simulation; one daemon in one run."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from realign_daemon.testing.virtual_loop import VirtualLoop

T = TypeVar("T")

CURRENT: ContextVar[VirtualProcess | None] = ContextVar("virtual process", default=None)


class VirtualTask(asyncio.Task[T]):
    """A task that hashes by its number: a set of tasks is walked in the same order in every run."""

    def __init__(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        loop: VirtualLoop,
        number: int,
        name: object = None,
        context: Context | None = None,
    ) -> None:
        self._number = number
        self.process = CURRENT.get() if context is None else context.get(CURRENT)
        super().__init__(coro, loop=loop, name=str(name or f"task {number}"), context=context)

    def __hash__(self) -> int:
        return self._number


class VirtualProcess:
    """Everything that was started in it, or by what was started in it: tasks, timers, callbacks, work for threads."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.name = name
        self.is_running = True
        self.is_dead = False
        self.held: list[asyncio.Handle] = []  # callbacks that fell due while it stood still
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)
        self._loop = loop
        self.slept_s = 0.0  # how long the machine slept under it, up to its last resume
        self._is_asleep = False
        self._stopped_at_s = 0.0
        self._timers: list[tuple[float, int, Any]] = []
        self._remains: list[asyncio.Task[Any]] = []

    def start(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """A task of this process."""
        return self._loop.create_task(coro, name=name, context=self.context.copy())

    def stop(self) -> None:
        """From now on none of its callbacks runs, as after SIGSTOP; its timers go on."""
        if self.is_running:
            self.is_running = False
            self._stopped_at_s = self._loop.time()

    def sleep(self) -> None:
        """As stop, but as when the machine sleeps: its timers stand still, too."""
        if self.is_running:
            self.stop()
            self._is_asleep = True
            self._timers = self._loop.take_timers(self)

    def resume(self) -> None:
        """Ends either. What fell due while it was stopped runs now."""
        if self.is_running or self.is_dead:
            return
        self.is_running = True
        if self._is_asleep:
            self.slept_s += self._loop.time() - self._stopped_at_s
            self._is_asleep = False
        self._loop.put_timers(self._timers, later_s=self._loop.time() - self._stopped_at_s)
        self._loop.run_soon(self.held)
        self._timers, self.held = [], []

    def kill(self) -> None:
        """Ends it between two callbacks: nothing of it runs any more, no `finally` either before the whole run ends."""
        self.is_running = False
        self.is_dead = True
        # Held, as a coroutine that nobody refers to would be closed, and a dead process closes nothing.
        self._remains = [task for task in self._loop.own_tasks() if task.process is self]

    def bury(self) -> None:
        """Gives its memory back, at the end of the run."""
        discard(self._remains)
        for things in (self._remains, self._timers, self.held):
            things.clear()


def discard(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Closes what the tasks run without another turn of the loop; those that would await in a `finally` are cut off."""
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio would complain of it
        coroutine = task.get_coro()
        if isinstance(coroutine, Coroutine):
            with suppress(BaseException):
                coroutine.close()
