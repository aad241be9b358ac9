"""AuditTable: the audit in the daemon's database; see work.schema for the table."""

from __future__ import annotations

import sqlite3
from typing import Any

from realign_daemon.clock import Clock
from realign_daemon.trust.audit import AuditLine, Deed, first_broken, next_line
from realign_daemon.work.database import Database

PAGE = 5_000  # lines checked in one go, some 30 ms: the ledger waits while the connection is busy
LEAST_SEQ = -(2**63)  # of SQLite's integers: a line that somebody put before the first is found, too


class AuditTable:
    """See AuditTrail."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, deed: Deed) -> None:
        """See AuditTrail."""
        at_unix_s = self._clock.unix()

        def write(connection: sqlite3.Connection) -> None:
            before = _lines(connection, "ORDER BY seq DESC LIMIT 1")
            _append(connection, next_line(deed, after=before[0] if before else None, at_unix_s=at_unix_s))

        await self._database.run(write)

    async def last(self, count: int) -> tuple[AuditLine, ...]:
        """See AuditTrail."""
        newest = await self._database.run(lambda connection: _lines(connection, "ORDER BY seq DESC LIMIT ?", count))
        return newest[::-1]

    async def broken_at(self) -> int | None:
        """See AuditTrail."""
        last: AuditLine | None = None
        while page := await self._page(first=last.seq + 1 if last else LEAST_SEQ):
            broken = first_broken(page, after=last)
            if broken is not None:
                return broken
            last = page[-1]
        return None

    async def _page(self, *, first: int) -> tuple[AuditLine, ...]:
        return await self._database.run(
            lambda connection: _lines(connection, "WHERE seq >= ? ORDER BY seq LIMIT ?", first, PAGE)
        )


def _append(connection: sqlite3.Connection, line: AuditLine) -> None:
    deed = line.deed
    row = (
        line.seq,
        line.at_unix_s,
        deed.actor,
        deed.role,
        deed.method,
        deed.object,
        deed.outcome,
        line.previous,
        line.hash,
    )
    connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def _lines(connection: sqlite3.Connection, which: str, *values: int) -> tuple[AuditLine, ...]:
    rows: list[Any] = connection.execute(f"SELECT * FROM audit {which}", values).fetchall()  # noqa: S608 - only ours
    return tuple(
        AuditLine(
            seq=seq,
            at_unix_s=at,
            deed=Deed(actor=actor, role=role, method=method, object=thing, outcome=outcome),
            previous=previous,
            hash=sealed,
        )
        for seq, at, actor, role, method, thing, outcome, previous, sealed in rows
    )
