"""The database's promises when the disk is full or fails, and to those who wait for news."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from realign_daemon.errors import DiskFailed
from realign_daemon.work.ballast import Ballast
from realign_daemon.work.database import Database, connect

ADD = "INSERT INTO computations VALUES (?, zeroblob(?), 0)"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    ballast = Ballast(tmp_path / "ballast", least_free_bytes=0, size_bytes=2**20)
    ballast.keep()
    database = Database(tmp_path / "ledger.sqlite", ballast=ballast)
    await database.open()
    yield database
    await database.close()


def adding(key: str, size_bytes: int = 1) -> Callable[[sqlite3.Connection], None]:
    return lambda connection: connection.execute(ADD, (key, size_bytes)) and None


def keys(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT computation_key FROM computations ORDER BY 1")]


def limit(pages: int) -> Callable[[sqlite3.Connection], None]:
    """Stands in for the end of the disk: SQLite answers with SQLITE_FULL when the file would grow beyond."""
    return lambda connection: connection.execute(f"PRAGMA max_page_count={pages}") and None


async def full(database: Database) -> None:
    used = await database.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await database.run(limit(used))
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await database.run(adding("too much", 2**20))


async def test_what_waits_for_news_wakes_at_the_next_change_and_not_at_a_look(database: Database) -> None:
    written = database.written()
    await database.run(keys)
    assert not written.is_set()
    await database.run(adding("a"))
    assert written.is_set()
    assert not database.written().is_set()


async def test_a_change_wakes_those_who_wait_though_its_author_was_cancelled(database: Database) -> None:
    written, begun, cancelled = database.written(), threading.Event(), threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        begun.set()
        cancelled.wait()
        adding("a")(connection)

    author = asyncio.create_task(database.run(work))
    await asyncio.to_thread(begun.wait)
    author.cancel()
    cancelled.set()
    async with asyncio.timeout(5):
        await written.wait()
    assert await database.run(keys) == ["a"]


async def test_a_full_disk_costs_the_ballast_and_the_next_commit_works(database: Database, tmp_path: Path) -> None:
    await database.run(adding("before"))
    await full(database)
    assert not (tmp_path / "ballast").exists()
    await database.run(limit(2**20))  # what was the ballast's is free
    await database.run(adding("after"))
    assert await database.run(keys) == ["after", "before"]
    assert await database.run(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()) == ("ok",)


class GivesWay(Ballast):
    """What it gives up is room for the database of this connection at once."""

    connection: sqlite3.Connection

    def drop(self) -> bool:
        is_given_up = super().drop()
        if is_given_up:
            limit(2**20)(self.connection)
        return is_given_up


async def test_what_meets_a_full_disk_succeeds_with_the_room_of_the_ballast(tmp_path: Path) -> None:
    ballast = GivesWay(tmp_path / "ballast", least_free_bytes=0, size_bytes=2**20)
    ballast.keep()

    def connected(path: Path) -> sqlite3.Connection:
        ballast.connection = connect(path)
        return ballast.connection

    database = Database(tmp_path / "ledger.sqlite", ballast=ballast, connect=connected)
    await database.open()
    used = await database.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await database.run(limit(used))
    await database.run(adding("much", 2**18))
    assert await database.run(keys) == ["much"]
    assert not (tmp_path / "ballast").exists()
    await database.close()


async def test_a_full_disk_is_no_failure_of_the_disk(database: Database) -> None:
    watch = asyncio.create_task(database.watch())
    await full(database)
    await asyncio.sleep(0)
    assert not watch.done()
    watch.cancel()


# The system refuses writes beyond RLIMIT_FSIZE with an error that SQLite knows as little as EIO.
FAILING = """
import asyncio, resource, sys
from pathlib import Path
from realign_daemon.errors import DiskFailed
from realign_daemon.work.database import Database

async def main():
    path = Path(sys.argv[1])
    database = Database(path)
    await database.open()
    query = "INSERT INTO computations VALUES (?, zeroblob(?), 0)"
    add = lambda key, size: database.run(lambda connection: connection.execute(query, (key, size)))
    await add("before", 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, resource.RLIM_INFINITY))
    watch = asyncio.create_task(database.watch())
    for key in ("first", "second"):
        try:
            await add(key, 2**20)
            print("acknowledged")
        except DiskFailed as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))  # too late
    print(await asyncio.gather(watch, return_exceptions=True))
    before = path.with_name(path.name + "-wal").read_bytes()
    await database.close()
    print(before == path.with_name(path.name + "-wal").read_bytes(), flush=True)
    import os
    os._exit(0)

asyncio.run(main())
"""


async def test_after_a_failed_write_nothing_is_acknowledged_and_nothing_written_any_more(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", FAILING, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, second, watched, untouched = done.stdout.splitlines()[-4:]  # behind the log
    assert first.startswith(f"{path} can't be read or written (disk I/O error): realignd stops")
    assert second == first
    assert watched.startswith("[DiskFailed(")
    assert untouched == "True"
    again = Database(path)
    await again.open()
    assert await again.run(keys) == ["before"]
    await again.close()


async def test_a_damaged_file_is_a_failure_with_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 100)
    database = Database(path)
    with pytest.raises(DiskFailed, match="check the disk, then start it again"):
        await database.open()
    await database.close()
