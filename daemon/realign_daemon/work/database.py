"""Database: one SQLite connection in one thread, with an async face.

One connection, because SQLite's write-ahead log had a reset bug that needs two (fixed in 3.51.3; the Pythons in use
carry older ones), and because waiting callers then share one commit. FULL synchronous and, on macOS, F_FULLFSYNC:
a row that was acknowledged survives a power cut.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from realign_daemon.errors import LedgerTooNew

T = TypeVar("T")

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE jobs (
  job_id TEXT PRIMARY KEY, client_token TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, record TEXT NOT NULL,
  created_unix_s REAL NOT NULL
);
CREATE TABLE results (
  unit_key TEXT PRIMARY KEY, kind TEXT NOT NULL, result BLOB NOT NULL, node TEXT NOT NULL,
  started_unix_s REAL NOT NULL, busy_s REAL NOT NULL, tokens INTEGER NOT NULL, stored_unix_s REAL NOT NULL
) WITHOUT ROWID;
-- Every time a node computed a unit, whatever came of it: two 'done' rows of one key are work done twice.
CREATE TABLE executions (
  id INTEGER PRIMARY KEY, unit_key TEXT NOT NULL, node TEXT NOT NULL, outcome TEXT NOT NULL,
  message TEXT NOT NULL, ended_unix_s REAL NOT NULL
);
CREATE INDEX executions_by_unit ON executions(unit_key);
CREATE TABLE job_units (
  job_id TEXT NOT NULL, stage TEXT NOT NULL, unit_key TEXT NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (job_id, stage, unit_key)
) WITHOUT ROWID;
-- What the worker child computed for a job (parsed documents, intervals), by the hash of function and arguments.
CREATE TABLE computations (computation_key TEXT PRIMARY KEY, result BLOB NOT NULL) WITHOUT ROWID;
"""


class Database:
    """A SQLite file. `run` executes a function on the connection inside one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Opens or makes the file. Raises LedgerTooNew when a newer realign wrote it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, committed durably; nothing of it happened when it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    async def close(self) -> None:
        """Waits for what is under way, then closes."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    def _open(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "fullfsync=1", "checkpoint_fullfsync=1"):
            connection.execute(f"PRAGMA {pragma}")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            connection.close()
            raise LedgerTooNew(path=str(self._path), found=version, known=SCHEMA_VERSION)
        if version == 0:
            connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")
        self._connection = connection
        self._path.chmod(0o600)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        assert connection is not None, "the database is used after open and before close"
        connection.execute("BEGIN IMMEDIATE")
        try:
            value = work(connection)
        except BaseException:
            if connection.in_transaction:  # SQLite has rolled back by itself when the disk was full
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return value

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
