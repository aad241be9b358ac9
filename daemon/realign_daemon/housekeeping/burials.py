"""Burials: takes away on this node what is left of jobs that were removed, wherever that was said."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection

import structlog

from realign_daemon.clock import Clock
from realign_daemon.work.database import Database

log = structlog.get_logger()

LOOK_EVERY_S = 1.0

Bury = Callable[[Collection[str]], Awaitable[object]]  # forgets these jobs, removes their folders; may be told twice


class Burials:
    """Follows the tombstones. A folder that could not be removed is tried again at the next start."""

    def __init__(self, database: Database, *, bury: Bury, clock: Clock) -> None:
        self._database = database
        self._bury = bury
        self._clock = clock

    async def run(self) -> None:
        """Buries every job that has a tombstone, now and as they come, until cancelled."""
        buried: frozenset[str] = frozenset()
        while True:
            written = self._database.written()
            removed = await self._database.run(_removed)
            if new := removed - buried:
                try:
                    await self._bury(new)
                except OSError as error:
                    log.warning("job.folder_stays", reason=str(error), remedy="remove it by hand")
            buried = removed
            await written.wait()
            await self._clock.sleep(LOOK_EVERY_S)


def _removed(connection: sqlite3.Connection) -> frozenset[str]:
    query = "SELECT ref FROM shared_facts WHERE kind='tombstone'"
    return frozenset(str(row[0]) for row in connection.execute(query))
