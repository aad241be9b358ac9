"""Messages between a job's home and the nodes that work for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_daemon.engine.api import Sha256
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.work.ledger import StoredResult
from realign_daemon.work.units import Unit, UnitKey

# The first two are the unit's own failures and count against it; the others are the node's trouble.
FailureKind = Literal["engine_died", "bad_unit", "engine_unusable", "out_of_memory", "model_missing", "blob_missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Home to node: compute these, all of them with this model."""

    units: tuple[Unit, ...]
    model: str  # registry name
    home: str  # node id that has the blobs
    group: GroupWish | None = None  # None: the node by itself
    batch_size: int = 0  # as planned: at most so many units run together as long as one of these does; 0: not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Home to node: give back up to this many units that have not started."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """Home to node: nobody wants these units any more; stop those that run, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDone:
    """Node to home: a result, durable on the node's own disk."""

    result: StoredResult
    remembered: bool  # the node had it already and computed nothing
    blobs: tuple[Sha256, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFailed:
    """Node to home: no result, and why."""

    key: UnitKey
    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Node to home: these were not started and are yours again."""

    keys: tuple[UnitKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitProgress:
    """Node to home: how far a long unit is."""

    key: UnitKey
    done: int
    total: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Node to home: what it can take. Sent first, and whenever it changes."""

    slots: int
    model: str
    accepting: bool
    reason: str = ""  # why not accepting
    held: int = 0  # results that wait to be confirmed; they are the node's, and keep nothing from running


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLoss:
    """A group that is no more, or could not be formed."""

    wish: GroupWish
    group: str  # the attempt's name: a loss is told once for each unit that it hit
    lost: tuple[str, ...]  # ids of the nodes that failed; empty where nobody in particular did
    cause: str  # one sentence for people
    thrown_away: int = 0  # results that were computed after the last good canary
    worked: bool = False  # it had given good results before


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLost:
    """Head to home: these units are yours again, and not to blame."""

    keys: tuple[UnitKey, ...]
    loss: GroupLoss


Command = Assign | Revoke | Abandon
Event = UnitDone | UnitFailed | Returned | UnitProgress | Capacity | GroupLost
