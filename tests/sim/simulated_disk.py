"""Simulated disk: SQLite on files in memory, whose unflushed 512-byte sectors survive a power cut or not, by a seed.

The Database under test is the real one. It runs on another build of SQLite than in production (the one that apsw
brings), as only that one can be given a file system written in Python. What this cannot show is whether the system and
the drive flush when they are asked to.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import apsw

SECTOR_BYTES = 512
POWERSAFE_OVERWRITE = 0x1000  # what SQLite assumes of disks on Unix: a torn write harms no bytes beside it
CHECKPOINT_PAGES = 20  # small, so that short runs have checkpoints, too
VFS = "simulated"


class _File:
    """Content as programs see it, and as the disk has it."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable: bytearray | None = None  # None: not even its name is on the disk
        self.unflushed: list[tuple[int, bytes] | int] = []  # writes, and the sizes of truncations

    def write(self, offset: int, data: bytes) -> None:
        for start in range(0, len(data), SECTOR_BYTES):  # SQLite writes at sectors, but for headers of its log
            self.unflushed.append((offset + start, data[start : start + SECTOR_BYTES]))
        _put(self.seen, offset, data)

    def truncate(self, size: int) -> None:
        self.unflushed.append(size)
        del self.seen[size:]

    def flush(self) -> None:
        self.durable, self.unflushed = bytearray(self.seen), []

    def after_power_cut(self, chance: random.Random) -> _File | None:
        """The file as it is found afterwards; None when its name never got to the disk."""
        if self.durable is None and chance.random() < 0.5:
            return None
        left = bytearray(self.durable or b"")
        for change in self.unflushed:
            if chance.random() < 0.5:
                continue
            if isinstance(change, int):
                del left[change:]
            else:
                _put(left, *change)
        found = _File()
        found.seen, found.durable = left, bytearray(left)
        return found


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class Disk:
    """A disk. `connect` is for Database."""

    def __init__(self, chance: random.Random, *, flushes: bool = True) -> None:
        """With `flushes` False it says that it has flushed, and has not."""
        self.chance = chance
        self.flushes = flushes
        self.operations = 0
        self.cut_at: int | None = None  # the operation at which the power goes
        self.fail_flush = False
        self._is_history = False
        self._connections: list[Any] = []
        self._files: dict[str, _File] = {}

    def connect(self, path: Path, *, instead: Callable[[str], str] = lambda sql: sql) -> sqlite3.Connection:
        """`instead` may change the SQL: to see that a test notices."""
        vfs = _Vfs(self)
        connection: Any = apsw.Connection(str(path), vfs=VFS)  # whose stubs are partly unknown
        # Without it SQLite wants shared memory; the database has one connection.
        self._connections.append(connection)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return cast("sqlite3.Connection", _Connection(connection, instead, vfs))

    def after_power_cut(self) -> Disk:
        """What is found when the power is back."""
        found = Disk(self.chance)
        for name, file in self._files.items():
            if (left := file.after_power_cut(self.chance)) is not None:
                found._files[name] = left
        self.end()
        return found

    def end(self) -> None:
        """Closes what a process that died would not have closed; whatever is done to the disk now does not count."""
        self._is_history = True
        for connection in self._connections:
            connection.close()

    # What the file system asks.

    def touch(self) -> None:
        """Every operation begins with it."""
        self.operations += 1
        if self._is_history:
            return
        if self.cut_at is not None and self.operations >= self.cut_at:
            raise apsw.exceptionfor(apsw.SQLITE_IOERR_WRITE)

    def has(self, name: str) -> bool:
        return name in self._files

    def file(self, name: str) -> _File:
        return self._files.setdefault(name, _File())

    def files(self) -> tuple[_File, ...]:
        return tuple(self._files.values())

    def delete(self, name: str) -> None:
        self.touch()
        self._files.pop(name, None)


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(VFS, base="")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _OpenFile(self._disk, name.filename() if isinstance(name, apsw.URIFilename) else str(name))

    def xAccess(self, pathname: str, flags: int) -> bool:
        return self._disk.has(pathname)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._disk.delete(filename)

    def xFullPathname(self, name: str) -> str:
        return name


class _OpenFile:
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self._file = disk.file(name)

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.touch()
        self._file.write(offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        self._disk.touch()
        self._file.truncate(size)

    def xSync(self, flags: int) -> None:
        self._disk.touch()
        if self._disk.fail_flush:
            self._disk.fail_flush = False  # the next one would succeed, and mean nothing
            raise apsw.exceptionfor(apsw.SQLITE_IOERR_FSYNC)
        if self._disk.flushes:
            self._file.flush()

    def xFileSize(self) -> int:
        return len(self._file.seen)

    def xSectorSize(self) -> int:
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return POWERSAFE_OVERWRITE

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xLock(self, level: int) -> None: ...
    def xUnlock(self, level: int) -> None: ...
    def xCheckReservedLock(self) -> bool:
        return False

    def xClose(self) -> None: ...


class _Connection:
    """apsw's connection in the clothes of sqlite3's, as far as the daemon uses that."""

    def __init__(self, connection: Any, instead: Callable[[str], str], vfs: _Vfs) -> None:
        self._connection = connection
        self._instead = instead
        self._vfs = vfs  # alive as long as the connection

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def total_changes(self) -> int:
        return self._connection.total_changes()

    def execute(self, sql: str, values: Sequence[Any] = ()) -> _Rows:
        try:
            cursor = self._connection.execute(self._instead(sql), tuple(values))
        except apsw.Error as error:
            raise _translated(error) from error
        return _Rows(cursor, self._connection.changes(), self._connection.last_insert_rowid())

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        for values in rows:
            self.execute(sql, values)

    def close(self) -> None:
        self._connection.close()


class _Rows:
    def __init__(self, cursor: apsw.Cursor, rowcount: int, lastrowid: int) -> None:
        self._cursor = cursor
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._cursor
        except apsw.Error as error:
            raise _translated(error) from error

    def fetchone(self) -> Any:
        return next(iter(self), None)

    def fetchall(self) -> list[Any]:
        return list(self)


def _translated(error: apsw.Error) -> sqlite3.DatabaseError:
    name = str(apsw.mapping_result_codes[cast("Any", error).result])
    kind = sqlite3.IntegrityError if name == "SQLITE_CONSTRAINT" else sqlite3.OperationalError
    translated = kind(str(error))
    translated.sqlite_errorname = name
    return translated
