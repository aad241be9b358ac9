"""Sweep: finds what no job needs any more on this node, and removes it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.files.partial import ARRIVING
from realign_daemon.files.staging import KEPT_S as UPLOADS_KEPT_S
from realign_daemon.housekeeping import inventory
from realign_daemon.housekeeping.garbage import FileFacts, Garbage, Inventory, find_garbage, find_unnamed
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.units import UnitKey

log = structlog.get_logger()

HASH_LENGTH = 64
LOOK_EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """The units that jobs of other homes use, and the homes that could not be asked."""

    keys: frozenset[UnitKey] = frozenset()
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So much of a kind of thing."""

    kind: str
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What goes or went, and sentences on what stays for a reason that may pass."""

    amounts: tuple[Amount, ...]
    remarks: tuple[str, ...]


AskHomes = Callable[[frozenset[str]], Awaitable[Used]]  # node ids of homes that must be asked


def keep(files: Iterable[Path]) -> None:
    """Has files taken for new ones: what is about to name them has time to do so. Blocks."""
    for file in files:
        with suppress(FileNotFoundError):
            os.utime(file)


class Uploads(Protocol):
    """See files.staging.Staging."""

    def sweep(self) -> None:
        """Removes what nobody came back for."""
        ...


class Arriving(Protocol):
    """See models.store.ModelStore. Blocks."""

    def forgotten_bytes(self, now_unix_s: float) -> Sequence[int]:
        """The sizes of models that were left half."""
        ...

    def forget(self, now_unix_s: float) -> None:
        """Removes those."""
        ...


class Sweep:
    """One at a time. What it needs to know of other homes it asks when it is called."""

    def __init__(
        self,
        *,
        node_id: str,
        database: Database,
        blobs: BlobStore,
        checkpoints: Path,
        uploads: Uploads,
        arriving: Arriving,
        ask_homes: AskHomes,
        clock: Clock,
    ) -> None:
        self._node_id = node_id
        self._database = database
        self._blobs = blobs
        self._checkpoints = checkpoints
        self._uploads = uploads
        self._arriving = arriving
        self._ask_homes = ask_homes
        self._clock = clock
        self._sweeping = asyncio.Lock()

    async def run(self) -> None:
        """Removes files that nothing names, such as those of a refused submit, until cancelled; results stay.

        What goes was found an hour before, too: a clock that is set makes files old in no time.
        """
        before: frozenset[FileFacts] = frozenset()
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            try:
                async with self._sweeping:
                    before = await self._remove_unnamed(before)
            except (OSError, sqlite3.OperationalError) as error:  # files stay where they are, and are looked at again
                log.warning("garbage.stays", reason=str(error))

    async def find(self, keep_s: float) -> Swept:
        """What `collect` would remove now."""
        async with self._sweeping:
            return await self._sweep(keep_s, is_for_real=False)

    async def collect(self, keep_s: float) -> Swept:
        """Removes what no job refers to and is older than that. Killed in the middle, the next call goes on."""
        async with self._sweeping:
            swept = await self._sweep(keep_s, is_for_real=True)
        log.info("garbage.collected", **{amount.kind: amount.size_bytes for amount in swept.amounts})
        return swept

    async def used_here(self) -> frozenset[UnitKey]:
        """The units that jobs of this home use, for other nodes that are about to remove what none uses."""
        return await self._database.run(inventory.used_here)

    async def _sweep(self, keep_s: float, *, is_for_real: bool) -> Swept:
        homes = await self._database.run(inventory.homes)
        used = await self._ask_homes(homes - {self._node_id})
        blobs = await asyncio.to_thread(_named_by_hash, self._blobs.folder.glob("??/*"))
        checkpoints = await asyncio.to_thread(_named_by_hash, self._checkpoints.glob("*"))
        uploads = await asyncio.to_thread(self._forgotten_uploads)
        now_unix_s = self._clock.unix()
        models = await asyncio.to_thread(self._arriving.forgotten_bytes, now_unix_s)

        def work(connection: sqlite3.Connection) -> tuple[Inventory, Garbage]:
            here = inventory.used_here(connection)
            held = Inventory(
                jobs=inventory.jobs(connection),
                used=None if used.unreached else here | used.keys,
                results=inventory.results(connection),
                attempts=inventory.attempts(connection),
                computations=inventory.computations(connection),
                blobs=tuple(blobs.values()),
                checkpoints=tuple(checkpoints.values()),
            )
            garbage = find_garbage(held, now_unix_s=now_unix_s, keep_s=keep_s)
            if is_for_real:
                inventory.remove(connection, garbage)
            return held, garbage

        held, garbage = await self._database.run(work)
        if is_for_real:
            await asyncio.to_thread(_unlink, blobs, frozenset(garbage.blobs))
            await asyncio.to_thread(_unlink, checkpoints, frozenset(garbage.checkpoints))
            self._uploads.sweep()
            await asyncio.to_thread(self._arriving.forget, now_unix_s)
        return Swept(amounts=tuple(_amounts(garbage, uploads, models)), remarks=tuple(_remarks(held, used)))

    async def _remove_unnamed(self, found_before: frozenset[FileFacts]) -> frozenset[FileFacts]:
        """What nothing names, but for what has gone."""
        blobs = await asyncio.to_thread(_named_by_hash, self._blobs.folder.glob("??/*"))
        now_unix_s = self._clock.unix()

        def work(connection: sqlite3.Connection) -> frozenset[FileFacts]:
            held = Inventory(
                jobs=inventory.jobs(connection),
                results=inventory.results_with_files(connection),
                blobs=tuple(blobs.values()),
            )
            return frozenset(find_unnamed(held, now_unix_s=now_unix_s))

        unnamed = await self._database.run(work)
        if going := unnamed & found_before:
            await asyncio.to_thread(_unlink, blobs, going)
            log.info("garbage.unnamed", files=len(going), bytes=sum(one.size_bytes for one in going))
        return unnamed - going

    def _forgotten_uploads(self) -> tuple[FileFacts, ...]:
        files = (self._blobs.folder / ARRIVING).glob("*/*")
        since = self._clock.unix() - UPLOADS_KEPT_S
        return tuple(facts for facts in _facts(files).values() if facts.since_unix_s < since)


def _named_by_hash(paths: Iterable[Path]) -> dict[Path, FileFacts]:
    return _facts(path for path in paths if len(path.name) >= HASH_LENGTH)


def _facts(paths: Iterable[Path]) -> dict[Path, FileFacts]:
    """The files; what a child has not finished writing bears the name of what it will be, and something behind it."""
    found: dict[Path, FileFacts] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            found[path] = FileFacts(
                name=path.name[:HASH_LENGTH], size_bytes=status.st_size, since_unix_s=status.st_mtime
            )
    return found


def _unlink(files: dict[Path, FileFacts], going: frozenset[FileFacts]) -> None:
    for path, facts in files.items():
        with suppress(FileNotFoundError):
            if facts in going and path.stat().st_mtime == facts.since_unix_s:  # else it came again meanwhile
                path.unlink()


def _amounts(garbage: Garbage, uploads: tuple[FileFacts, ...], models: Sequence[int]) -> Iterator[Amount]:
    """Of each kind that there is anything of."""
    sizes = {
        "results": [one.size_bytes for one in garbage.results],
        "computations": [one.size_bytes for one in garbage.computations],
        "blobs": [one.size_bytes for one in garbage.blobs],
        "checkpoints": [one.size_bytes for one in garbage.checkpoints],
        "uploads": [one.size_bytes for one in uploads],
        "partial_models": models,
        "attempts": [0 for _ in garbage.attempts],
    }
    amounts = [Amount(kind=kind, count=len(found), size_bytes=sum(found)) for kind, found in sizes.items()]
    return (amount for amount in amounts if amount.count)


def _remarks(held: Inventory, used: Used) -> Iterator[str]:
    if used.unreached:
        yield (
            f"all results stay, as {', '.join(used.unreached)} could not say which its jobs use; "
            "run gc again when it can be reached"
        )
    living = sum(job.ended_unix_s is None for job in held.jobs)
    if living:
        yield f"what came since the first of {living} unfinished jobs began stays until they have ended"
