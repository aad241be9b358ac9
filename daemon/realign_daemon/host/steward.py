"""Steward: sees to it, about once a second, that this machine serves its owner first and wakes up in good order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.host.pause import Pause
from realign_daemon.host.sleep import SleepWatch

log = structlog.get_logger()

PAUSE_GRACE_S = 30.0  # a unit is made to last 20 to 60 s; what is not done by then begins anew elsewhere


class Work(Protocol):
    """The units on this machine."""

    @property
    def is_working(self) -> bool:
        """Whether a unit runs."""
        ...

    @property
    def has_units(self) -> bool:
        """Whether one runs or waits to."""
        ...

    def refresh(self) -> None:
        """Tells all homes when this machine takes work or takes none any more; gives back what waits in that case."""
        ...

    def give_back_running(self) -> None:
        """Stops what runs and gives it back."""
        ...


class Memory(Protocol):
    """What holds a model in memory."""

    async def unload(self, cause: str) -> None:
        """Gives it back, unless something runs in it."""
        ...


class Lock(Protocol):
    """See Wakelock."""

    async def keep(self, *, awake: bool, on_mains: bool) -> None:
        """Holds the lock exactly while `awake`."""
        ...


class Host(Protocol):
    """This machine, as it was at the last look."""

    @property
    def on_mains(self) -> bool:
        """Whether no battery is drained."""
        ...

    def reason_to_rest(self) -> str:
        """Why the memory that an idle model holds is to go back; "" when it may stay."""
        ...


class Steward:
    """Performs what the pause and the policy ask for. `look` is to be called about once a second."""

    def __init__(
        self,
        *,
        host: Host,
        pause: Pause,
        sleep: SleepWatch,
        work: Work,
        memory: Memory,
        lock: Lock,
        clock: Clock,
        woke: Callable[[], None],
    ) -> None:
        """`woke` is called after the machine slept."""
        self._host, self._pause, self._sleep, self._clock, self._woke = host, pause, sleep, clock, woke
        self._work, self._memory, self._lock = work, memory, lock
        self._was_paused = pause.is_on
        self._patient_until_s = clock.continuous() + PAUSE_GRACE_S

    async def look(self) -> None:
        """Notices what has changed and acts on it."""
        if (slept := self._sleep.look()) is not None:
            log.warning("machine.slept", slept_s=round(slept.slept_s, 1))
            self._woke()
        if self._was_paused and not self._pause.is_on:
            await self.resume()
        self._work.refresh()
        if self._pause.is_on and self._clock.continuous() >= self._patient_until_s and self._work.is_working:
            self._work.give_back_running()
        if (reason := self._host.reason_to_rest()) and not self._work.has_units:
            await self._memory.unload(reason)
        await self._lock.keep(awake=self._work.is_working, on_mains=self._host.on_mains)

    async def pause(self, seconds: float | None) -> None:
        """No unit begins here any more, for so long or until `resume`; those that run have PAUSE_GRACE_S to end."""
        await self._pause.begin(seconds)
        self._was_paused = True
        self._patient_until_s = self._clock.continuous() + PAUSE_GRACE_S
        log.info("machine.paused", seconds=seconds)
        self._work.refresh()

    async def resume(self) -> None:
        """Takes work again."""
        await self._pause.end()
        self._was_paused = False
        log.info("machine.resumed")
        self._work.refresh()
