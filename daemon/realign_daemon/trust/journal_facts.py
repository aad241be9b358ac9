"""JournalFacts: shared facts in the daemon's journal, which takes them to every other node."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping

from realign_daemon.clock import Clock
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.facts import Facts
from realign_daemon.journal.journal import Journal
from realign_daemon.trust.shared_facts import AUTHORITY, MEMBER, REVOCATION, Issued, merges
from realign_daemon.work.database import Database

GATHER_S = 0.05  # a busy node writes hundreds of times a second, and each look is a query


def trust_kinds(issued: Issued) -> tuple[Facts, ...]:
    """What a journal must know for JournalFacts."""
    return tuple(Facts(kind, merge) for kind, merge in merges(issued).items())


class JournalFacts:
    """See SharedFacts."""

    def __init__(self, journal: Journal, database: Database, clock: Clock) -> None:
        """The database is the journal's."""
        self._journal = journal
        self._database = database
        self._clock = clock

    async def put(self, kind: str, ref: str, payload: bytes) -> None:
        """See SharedFacts."""
        await self._journal.put(Ref(kind=kind, ref=ref), payload)

    async def all(self, kind: str) -> Mapping[str, bytes]:
        """See SharedFacts."""
        query = "SELECT ref, payload FROM shared_facts WHERE kind=? ORDER BY ref"
        rows = await self._database.run(lambda connection: connection.execute(query, (kind,)).fetchall())
        return {ref: bytes(payload) for ref, payload in rows}

    async def changes(self) -> AsyncIterator[None]:
        """See SharedFacts."""
        seen = await self._database.run(_last)
        while True:
            written = self._database.written()
            last = await self._database.run(_last)
            if last != seen:
                seen = last
                yield
            await written.wait()
            await self._clock.sleep(GATHER_S)


def _last(connection: sqlite3.Connection) -> int:
    """The place of the last of these facts in the journal: every change of one gets a new place."""
    query = "SELECT COALESCE(MAX(seq), 0) FROM journal WHERE kind IN (?,?,?)"
    return int(connection.execute(query, (MEMBER, REVOCATION, AUTHORITY)).fetchone()[0])
