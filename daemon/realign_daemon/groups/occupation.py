"""Occupation: what keeps this machine busy, its own units or a rank, as its steward sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from realign_daemon.clock import Clock
from realign_daemon.groups.berth import Berth
from realign_daemon.host.steward import PAUSE_GRACE_S, Work

_LOOK_S = 0.05


class Occupation:
    """See steward.Work. A rank has as long to end as a unit has when the machine's owner pauses it."""

    def __init__(self, work: Work, berth: Berth, *, objection: Callable[[], str], clock: Clock) -> None:
        """`work` are the units; `objection` says why this machine takes no work, "" when it does."""
        self._work, self._berth, self._objection, self._clock = work, berth, objection, clock
        self._objected_s: float | None = None

    @property
    def is_working(self) -> bool:
        """Whether a unit runs, or there is a rank."""
        return self._work.is_working or self._berth.is_occupied

    @property
    def has_units(self) -> bool:
        """Whether a unit runs or waits to, or there is a rank."""
        return self._work.has_units or self._berth.is_occupied

    def refresh(self) -> None:
        """See steward.Work; gives the rank up that was objected to for too long."""
        self._work.refresh()
        reason = self._objection()
        if not reason:
            self._objected_s = None
            return
        now_s = self._clock.continuous()
        self._objected_s = self._objected_s if self._objected_s is not None else now_s
        if now_s - self._objected_s >= PAUSE_GRACE_S:
            self._berth.give_up(reason)

    def give_back_running(self) -> None:
        """Ends what runs, and the rank."""
        self._work.give_back_running()
        self._berth.give_up(self._objection() or "its owner wants the machine")

    async def make_room(self, unload: Callable[[str], Awaitable[None]]) -> None:
        """For a rank: the units go back to their homes and the engine's memory to the system."""
        self._work.refresh()
        self._work.give_back_running()
        while self._work.is_working:
            await self._clock.sleep(_LOOK_S)
        await unload("a group needs its memory")
