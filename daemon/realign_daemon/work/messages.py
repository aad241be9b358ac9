"""Messages between a job's home and the nodes that work for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_daemon.engine.api import Sha256
from realign_daemon.work.ledger import StoredResult
from realign_daemon.work.units import Unit, UnitKey

FailureKind = Literal["engine_died", "out_of_memory", "bad_unit", "model_missing", "blob_missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Home to node: compute these, all of them with this model."""

    units: tuple[Unit, ...]
    model: str  # registry name
    term: int
    home: str  # node id that has the blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Home to node: give back up to this many units that have not started."""

    count: int


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


Command = Assign | Revoke
Event = UnitDone | UnitFailed | Returned | UnitProgress | Capacity
