"""Garbage: what a node holds that no job needs any more. Pure.

A mark and sweep: jobs mark the units they used and the files they name, results that stay mark their files. What bears
no mark goes once it is old enough, since a later job over the same sources would use it again. Nothing goes that came
after a job began which has not ended: it may be on its way to that job.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from realign_daemon.engine.api import Sha256
from realign_daemon.work.units import UnitKey

KEPT_S = 30 * 86_400.0  # how long what no job refers to stays when nobody says
# Files come before what names them, a submit's or another node's: a submit is given half an hour to name its own.
ARRIVING_S = 3_600.0
# How long a file that nothing names stays when nobody asks. Replication may fetch many files before it takes in what
# names the first one: 1 TB over a link of 1 Gbit/s takes 2.5 h.
UNNAMED_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """A job of any node that has no tombstone."""

    created_unix_s: float
    ended_unix_s: float | None  # None: it has not ended, as far as is known here
    files: frozenset[Sha256]  # that its spec or its record names


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFacts:
    """A unit's result."""

    key: UnitKey
    digest: Sha256
    size_bytes: int
    since_unix_s: float
    files: frozenset[Sha256] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """One time that a unit was computed."""

    row: int
    uid: str | None  # of a failure that nodes share
    key: UnitKey
    since_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputationFacts:
    """What the worker child computed."""

    key: str
    size_bytes: int
    used_unix_s: float  # when it was asked for last: nothing says which job needs which


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file that is named by a hash: of its content, or for a checkpoint the unit's key."""

    name: str
    size_bytes: int
    since_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a node holds, and who may need it."""

    jobs: tuple[JobFacts, ...] = ()
    used: frozenset[UnitKey] | None = frozenset()  # by any job; None where not every home could be asked
    results: tuple[ResultFacts, ...] = ()
    attempts: tuple[AttemptFacts, ...] = ()
    computations: tuple[ComputationFacts, ...] = ()
    blobs: tuple[FileFacts, ...] = ()
    checkpoints: tuple[FileFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What may go."""

    results: tuple[ResultFacts, ...] = ()
    attempts: tuple[AttemptFacts, ...] = ()
    computations: tuple[ComputationFacts, ...] = ()
    blobs: tuple[FileFacts, ...] = ()
    checkpoints: tuple[FileFacts, ...] = ()


def find_garbage(inventory: Inventory, *, now_unix_s: float, keep_s: float = KEPT_S) -> Garbage:
    """What no job without a tombstone refers to, and is older than `keep_s`.

    A checkpoint is no whole result, and goes as soon as no job refers to its unit. A computation goes once nobody has
    asked for it for so long: it is made again from its sources when it is missed.
    """
    living_since = _living_since(inventory)
    young_since = min(now_unix_s - keep_s, living_since)
    arriving_since = min(now_unix_s - ARRIVING_S, living_since)
    results = tuple(
        one for one in inventory.results if _is_unused(one.key, inventory) and one.since_unix_s < young_since
    )
    going = {(one.key, one.digest) for one in results}
    staying = tuple(one for one in inventory.results if (one.key, one.digest) not in going)
    keys = {one.key for one in staying}
    return Garbage(
        results=results,
        attempts=tuple(
            one
            for one in inventory.attempts
            if one.key not in keys and _is_unused(one.key, inventory) and one.since_unix_s < young_since
        ),
        computations=tuple(one for one in inventory.computations if one.used_unix_s < young_since),
        blobs=find_unnamed(replace(inventory, results=staying), now_unix_s=now_unix_s, keep_s=keep_s),
        checkpoints=tuple(
            file
            for file in inventory.checkpoints
            if _is_unused(UnitKey(file.name), inventory) and file.since_unix_s < arriving_since
        ),
    )


def find_unnamed(inventory: Inventory, *, now_unix_s: float, keep_s: float = UNNAMED_S) -> tuple[FileFacts, ...]:
    """The blobs that neither a job without a tombstone nor a result names, and that are older than `keep_s`."""
    named = _files(inventory.jobs) | _files(inventory.results)
    since = min(now_unix_s - max(keep_s, ARRIVING_S), _living_since(inventory))
    return tuple(blob for blob in inventory.blobs if blob.name not in named and blob.since_unix_s < since)


def _living_since(inventory: Inventory) -> float:
    return min((job.created_unix_s for job in inventory.jobs if job.ended_unix_s is None), default=math.inf)


def _is_unused(key: UnitKey, inventory: Inventory) -> bool:
    return inventory.used is not None and key not in inventory.used


def _files(holders: Iterable[JobFacts] | Iterable[ResultFacts]) -> set[str]:
    return {name for holder in holders for name in holder.files}
