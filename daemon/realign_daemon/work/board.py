"""Board: where each unit of an order is: waiting, in flight on a node, done, or given up. Pure: no clock, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from realign_daemon.work.units import Unit, UnitKey

# Nomad's delivery limit and Dask's allowed-failures both default to three.
ATTEMPTS = 3


@dataclass(slots=True, kw_only=True)
class _Speed:
    """Examples per second of one node on this order: a prior until results come, then what they show."""

    prior: float
    done: int = 0
    busy_s: float = 0.0

    @property
    def examples_per_s(self) -> float:
        # The prior counts as much as its own first second of work and fades as results come in.
        return (self.done + self.prior) / (self.busy_s + 1.0) if self.prior else self.done / max(self.busy_s, 1e-3)


@dataclass(slots=True)
class Board:
    """The units of one order. Every unit ends exactly once, in `done` or in `quarantined`."""

    units: dict[UnitKey, Unit] = field(default_factory=dict[UnitKey, Unit])
    waiting: deque[UnitKey] = field(default_factory=deque[UnitKey])
    in_flight: dict[str, dict[UnitKey, None]] = field(default_factory=dict[str, dict[UnitKey, None]])
    done: set[UnitKey] = field(default_factory=set[UnitKey])
    quarantined: dict[UnitKey, str] = field(default_factory=dict[UnitKey, str])
    retried: set[UnitKey] = field(default_factory=set[UnitKey])
    _failed_on: dict[UnitKey, list[str]] = field(default_factory=dict[UnitKey, list[str]])
    _speeds: dict[str, _Speed] = field(default_factory=dict[str, _Speed])

    def add(self, units: Iterable[Unit], *, failures: Mapping[UnitKey, Sequence[str]] | None = None) -> None:
        """Puts units up, dearest first; `failures` are the nodes where each failed before this order."""
        fresh = [unit for unit in units if unit.key not in self.units]
        for unit in fresh:
            self.units[unit.key] = unit
            self._failed_on[unit.key] = list((failures or {}).get(unit.key, ()))
        self.waiting.extend(unit.key for unit in sorted(fresh, key=lambda unit: -unit.cost))

    def expect(self, node: str, examples_per_s: float) -> None:
        """Sets the speed assumed for a node before it has shown its own."""
        self._speeds.setdefault(node, _Speed(prior=examples_per_s))

    def speed(self, node: str) -> float:
        """Examples per second of a node; 0 when nothing is known."""
        speed = self._speeds.get(node)
        return speed.examples_per_s if speed else 0.0

    def take(self, node: str, count: int, *, others: frozenset[str]) -> tuple[Unit, ...]:
        """Up to `count` waiting units, now in flight on the node.

        A unit that failed on this node is left for a node of `others` on which it has not failed.
        """
        taken: list[UnitKey] = []
        left: list[UnitKey] = []
        while self.waiting and len(taken) < count:
            key = self.waiting.popleft()
            failed_on = self._failed_on[key]
            (left if node in failed_on and others - set(failed_on) else taken).append(key)
        self.waiting.extendleft(reversed(left))
        self.in_flight.setdefault(node, {}).update(dict.fromkeys(taken))
        return tuple(self.units[key] for key in taken)

    def finish(self, key: UnitKey, *, node: str, busy_s: float) -> bool:
        """Notes a result that is durable here. False when the unit had one, or is none of this order's."""
        for flights in self.in_flight.values():
            flights.pop(key, None)
        if key not in self.units or key in self.done:
            return False
        if key in self.waiting:
            self.waiting.remove(key)
        self.quarantined.pop(key, None)
        self.done.add(key)
        speed = self._speeds.setdefault(node, _Speed(prior=0.0))
        speed.done += 1
        speed.busy_s += busy_s
        return True

    def fail(self, key: UnitKey, *, node: str, message: str, is_hopeless: bool) -> bool:
        """Notes a failed attempt. True when the unit is given up: hopeless, or failed too often."""
        self.in_flight.get(node, {}).pop(key, None)
        if key not in self.units or key in self.done or key in self.quarantined:
            return False
        self._failed_on[key].append(node)
        if is_hopeless or len(self._failed_on[key]) >= ATTEMPTS:
            self.quarantined[key] = message
            return True
        self.retried.add(key)
        self.waiting.appendleft(key)
        return False

    def put_back(self, node: str, keys: Iterable[UnitKey] | None = None) -> None:
        """Makes a node's units (all of them, when no keys are given) wait again: it gave them back, or it is lost."""
        flights = self.in_flight.get(node, {})
        for key in list(flights) if keys is None else keys:
            if key in flights:
                del flights[key]
                self.waiting.appendleft(key)

    @property
    def is_complete(self) -> bool:
        """True when every unit has ended."""
        return len(self.done) + len(self.quarantined) == len(self.units)

    def flying(self, node: str) -> int:
        """How many units the node has."""
        return len(self.in_flight.get(node, {}))
