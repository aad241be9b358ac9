"""Database: one SQLite connection in one thread, with an async face.

One connection, because SQLite's write-ahead log had a reset bug that needs two (fixed in 3.51.3; the Pythons in use
carry older ones). FULL synchronous and, on macOS, F_FULLFSYNC: a row that was acknowledged survives a power cut.

On a full disk the ballast goes, and the transaction is run once more; without ballast it fails, and nothing else. Any
other failure of the disk ends the daemon: once a flush has failed, the system may have dropped what was not on disk
yet, and a second one that succeeds means nothing ("fsyncgate", PostgreSQL 2018). A new process reads what is there.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog

from realign_daemon.errors import DiskFailed, Full
from realign_daemon.shortage import shortage, sqlite_name
from realign_daemon.work.ballast import Ballast
from realign_daemon.work.schema import prepare

log = structlog.get_logger()

T = TypeVar("T")

# SQLite's answers to a disk that fails, by the beginning of their names.
_FAILURES = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_READONLY")


# What makes a commit last; see above.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "fullfsync=1", "checkpoint_fullfsync=1")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that leaves transactions to its user. The file is its owner's alone, as are those beside it."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


class Database:
    """A SQLite file. `run` executes a function on the connection inside one transaction."""

    def __init__(
        self,
        path: Path,
        *,
        ballast: Ballast | None = None,
        connect: Callable[[Path], sqlite3.Connection] = connect,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        now_unix_s: Callable[[], float] = time.time,
    ) -> None:
        """`ballast` lies on the same disk; the random bytes name a new file."""
        self._path = path
        self._ballast = ballast
        self._connect = connect
        self._random_bytes = random_bytes
        self._now_unix_s = now_unix_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None
        self._written = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: DiskFailed | None = None

    async def open(self, *, voted_before: bool = False) -> None:
        """Opens or makes the file. `voted_before`: should there be none, one was lost.

        Raises:
            LedgerTooNew: a newer realign wrote it.
            Full: there is no room, be it for the copy that is made before an upgrade.
            DiskFailed: the disk can't be read or written.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open, voted_before)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, committed durably; nothing of it happened when it raises.

        It may be run twice: the first time comes to nothing when the disk is full and the ballast makes room.

        Raises:
            sqlite3.OperationalError: the disk is full.
            DiskFailed: it fails otherwise, now or before. What this transaction wrote may or may not be there later.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, work, loop)

    def written(self) -> asyncio.Event:
        """Is set once a transaction after this moment has changed something."""
        return self._written

    async def watch(self) -> NoReturn:
        """Raises DiskFailed once the disk has failed: to end the daemon, whoever else has swallowed the error."""
        await self._failed.wait()
        assert self._failure is not None, "set before the event"
        raise self._failure

    async def close(self) -> None:
        """Waits for what is under way, then closes."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    def _open(self, voted_before: bool) -> None:  # noqa: FBT001 - the thread takes arguments by position
        try:
            self._connection = self._opened(voted_before=voted_before)
        except sqlite3.DatabaseError as error:
            if self._makes_room(error):
                self._open(voted_before)
                return
            if shortage(error):
                raise Full(f"the disk that {self._path} lies on is full; free some space and start again") from error
            if _is_failure(error):
                raise DiskFailed(path=str(self._path), reason=str(error)) from error
            raise

    def _opened(self, *, voted_before: bool) -> sqlite3.Connection:
        connection = self._connect(self._path)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            now = self._now_unix_s()
            prepare(connection, self._path, self._random_bytes, now_unix_s=now, voted_before=voted_before)
        except BaseException:
            connection.close()
            raise
        return connection

    def _transact(self, work: Callable[[sqlite3.Connection], T], loop: asyncio.AbstractEventLoop) -> T:
        if self._failure is not None:
            raise self._failure
        connection = self._connection
        assert connection is not None, "the database is used after open and before close"
        before = connection.total_changes
        try:
            value = self._with_ballast(connection, work)
        except sqlite3.DatabaseError as error:
            self._look_into(error, loop)
            raise
        if connection.total_changes != before:
            loop.call_soon_threadsafe(self._tell)
        return value

    def _with_ballast(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return _committed(connection, work)
        except sqlite3.DatabaseError as error:
            if not self._makes_room(error):
                raise
        return _committed(connection, work)

    def _makes_room(self, error: sqlite3.DatabaseError) -> bool:
        return shortage(error) is not None and self._ballast is not None and self._ballast.drop()

    def _look_into(self, error: sqlite3.DatabaseError, loop: asyncio.AbstractEventLoop) -> None:
        if _is_failure(error):
            self._failure = DiskFailed(path=str(self._path), reason=str(error))
            loop.call_soon_threadsafe(self._failed.set)
            log.error("ledger.disk_failed", path=str(self._path), reason=str(error))
            raise self._failure from error

    def _tell(self) -> None:
        self._written.set()
        self._written = asyncio.Event()

    def _close(self) -> None:
        # After a failure the connection is left as it is: closing it would write to the disk once more.
        if self._connection is not None and self._failure is None:
            self._connection.close()
            self._connection = None


def _is_failure(error: sqlite3.DatabaseError) -> bool:
    return shortage(error) is None and sqlite_name(error).startswith(_FAILURES)


def _committed(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        value = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back by itself when the disk was full
            with suppress(sqlite3.DatabaseError):  # the disk's first answer says more
                connection.execute("ROLLBACK")
        raise
    return value
