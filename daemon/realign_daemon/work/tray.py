"""Tray: the units that a node has from its homes, and which of them may start now. No clock, no I/O."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from realign_daemon.engine.api import Fuse, Train
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.work.messages import Capacity, Event
from realign_daemon.work.units import Unit, UnitKey


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """A home's connection. Events are put here; at most as many as units it assigned, plus a few."""

    emit: Callable[[Event], None]
    is_open: bool = True
    batch_size: int = 0  # as its home last said, see Assign
    told: Capacity | None = None  # what its home has last heard


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    """A unit and whose it is."""

    session: Session  # changes when a home that restarted asks again for what still runs
    unit: Unit
    model: str  # registry name
    home: str
    group: GroupWish | None = None
    is_suspect: bool = False  # the engine died while it ran with others: it runs by itself now
    task: asyncio.Task[None] | None = None  # while it runs

    @property
    def wish(self) -> GroupWish | None:
        """Its group, told how many sequences to have room for."""
        return self.group and replace(self.group, batch_size=self.session.batch_size)

    @property
    def runs_alone(self) -> bool:
        """True when nothing else may be in the engine with it, so that its death is its own."""
        return self.is_suspect or isinstance(self.unit.task, Train | Fuse)


@dataclass(slots=True)
class Tray:
    """Every unit is in one of four places: waiting, running, storing, or gone."""

    arrived: list[Item] = field(default_factory=list[Item])  # not yet looked up in the ledger
    waiting: deque[Item] = field(default_factory=deque[Item])
    running: dict[UnitKey, Item] = field(default_factory=dict[UnitKey, Item])
    storing: dict[UnitKey, Item] = field(default_factory=dict[UnitKey, Item])  # computed, not yet durable

    def put(self, item: Item) -> None:
        """Queues a unit, unless it is being computed for a connection that has gone: then the answer goes here."""
        active = self.under_way(item.unit.key)
        if active is not None and not active.session.is_open:
            active.session = item.session
        else:
            self.waiting.append(item)

    def under_way(self, key: UnitKey) -> Item | None:
        """Who has this unit computed now; None when nobody has, or it is being stopped."""
        active = self.running.get(key) or self.storing.get(key)
        is_given_up = active is not None and active.task is not None and active.task.cancelling() > 0
        return None if is_given_up else active

    def put_first(self, item: Item) -> None:
        """Queues a suspect before everything else."""
        item.is_suspect = True
        item.task = None
        self.waiting.appendleft(item)

    def first(self, *, slots: int, model: str, group: GroupWish | None = None) -> Item | None:
        """The waiting unit that may start now beside what runs by this model in this group; None when none may.

        No more run together than any of their homes plans.
        """
        if not self.waiting:
            return None
        item = self.waiting[0]
        planned = [one.session.batch_size for one in (item, *self.running.values())]
        if len(self.running) >= min((slots, *filter(None, planned))):
            return None
        if item.unit.key in self.running or item.unit.key in self.storing:
            return None  # another home asked for the same: its end wakes us, and then the result is remembered
        is_crowded = item.runs_alone or any(other.runs_alone for other in self.running.values())
        if self.running and (is_crowded or (item.model, item.group) != (model, group)):
            return None
        return item

    def take_back(self, session: Session, count: int) -> tuple[UnitKey, ...]:
        """Up to `count` units of the session that have not started, the last ones first to go."""
        mine = [item for item in self.waiting if item.session is session][-count:] if count > 0 else []
        for item in mine:
            self.waiting.remove(item)
        return tuple(item.unit.key for item in mine)

    def held_for(self, session: Session) -> int:
        """How many of the session's units are computed and not told of yet."""
        return sum(item.session is session for item in self.storing.values())

    def take_of(self, group: GroupWish) -> list[Item]:
        """Takes out the waiting units that the group was to compute."""
        its = [item for item in self.waiting if item.group == group]
        self.waiting = deque(item for item in self.waiting if item.group != group)
        return its

    def forget(self, session: Session) -> None:
        """Drops what the session had queued."""
        self.arrived = [item for item in self.arrived if item.session is not session]
        self.waiting = deque(item for item in self.waiting if item.session is not session)

    def same_as(self, key: UnitKey) -> list[Item]:
        """Takes out the waiting units of this key: another home asked for it, too."""
        same = [item for item in self.waiting if item.unit.key == key]
        for item in same:
            self.waiting.remove(item)
        return same


@dataclass(slots=True)
class Meter:
    """Engine time shared among the units that run together: the shares add up to the time the engine was busy."""

    running: int = 0
    share_s: float = 0.0  # what one unit that ran all the time would have been charged
    at_s: float = 0.0

    def change(self, by: int, now_s: float) -> float:
        """Notes that so many more units run from now on; gives the share so far."""
        if self.running:
            self.share_s += (now_s - self.at_s) / self.running
        self.at_s = now_s
        self.running += by
        return self.share_s
