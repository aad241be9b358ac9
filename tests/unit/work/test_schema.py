"""The schema's promises: an older ledger comes up with every row, a copy of it stays, and there is no way back."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realign_daemon.errors import LedgerTooNew
from realign_daemon.housekeeping import inventory
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.kinds import KINDS
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.schema import VERSION
from realign_daemon.work.units import UnitKey

FILE = "a" * 64
# As version 0.1.0 made it.
SCHEMA_1 = """
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
PRAGMA user_version=1;
INSERT INTO jobs VALUES ('sft-1', 'token', '{}', '{"state": "running"}', 1.5);
INSERT INTO results VALUES ('k2', 'generated', x'02', 'left', 1.0, 0.5, 7, 20.0);
INSERT INTO results VALUES ('k1', 'filled', x'01', 'right', 2.0, 0.25, 9, 30.0);
INSERT INTO executions VALUES (1, 'k1', 'right', 'done', '', 30.0);
INSERT INTO executions VALUES (2, 'k3', 'right', 'engine_died', 'it died', 31.0);
INSERT INTO executions VALUES (3, 'k3', 'left', 'forgiven', 'it died', 32.0);
INSERT INTO job_units VALUES ('sft-1', 'chunk', 'k3', 'quarantined');
INSERT INTO computations VALUES ('c1', x'03');
"""


def older(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(SCHEMA_1)
    connection.close()
    return path


def backups(folder: Path) -> list[Path]:
    return list(folder.glob("*.bak*"))


@pytest.fixture
async def upgraded(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(older(tmp_path / "ledger.sqlite"))
    await database.open()
    yield database
    await database.close()


async def test_every_row_of_schema_1_is_there_after_the_upgrade(upgraded: Database) -> None:
    ledger = Ledger(upgraded, node_id="here")
    await ledger.take_home(lambda _: ())
    (job,) = await ledger.jobs()
    assert (job.job_id, job.client_token, job.spec, job.record, job.created_unix_s) == (
        *("sft-1", "token", "{}", '{"state": "running"}'),
        1.5,
    )
    found = await ledger.results([UnitKey("k1"), UnitKey("k2")])
    assert {key: (r.kind, r.result, r.node, r.started_unix_s, r.busy_s, r.tokens) for key, r in found.items()} == {
        "k1": ("filled", b"\1", "right", 2.0, 0.25, 9),
        "k2": ("generated", b"\2", "left", 1.0, 0.5, 7),
    }
    assert await ledger.failures([UnitKey("k3")]) == {UnitKey("k3"): ["right"]}
    assert await ledger.quarantined("sft-1") == {"k3"}
    assert await ledger.computation("c1", now_unix_s=1.0) == b"\3"
    executions = await upgraded.run(lambda c: c.execute("SELECT id, unit_key, outcome FROM executions").fetchall())
    assert executions == [(1, "k1", "done"), (2, "k3", "engine_died"), (3, "k3", "forgiven")]


async def test_what_schema_1_held_is_shared_with_the_others(upgraded: Database) -> None:
    await Ledger(upgraded, node_id="here").take_home(lambda _: (FILE,))  # pyright: ignore[reportArgumentType] - a hash
    journal = Journal(upgraded, KINDS, clock=ManualClock())
    batch = await journal.after(await journal.position("nobody"))
    shown, index_id = batch.headers, batch.end.index_id
    assert {(header.ref.kind, header.ref.ref) for header in shown} == {
        ("result", f"k1/{hashlib.sha256(bytes([1])).hexdigest()}"),
        ("result", f"k2/{hashlib.sha256(bytes([2])).hexdigest()}"),
        ("failure", f"{index_id}/2"),
        ("failure", f"{index_id}/3"),
        ("job", "sft-1"),
        ("record", "sft-1"),
    }
    assert len(await journal.load([header.ref for header in shown])) == len(shown)


async def test_what_schema_2_had_computed_counts_as_used_at_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first = Database(path, now_unix_s=lambda: 5.0)
    await first.open()
    await Ledger(first).add_computation("c", b"outcome", now_unix_s=7.0)
    born = await first.run(_born)
    await first.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE computations DROP COLUMN used_unix_s")
        connection.execute("ALTER TABLE positions DROP COLUMN boot")
        connection.execute("PRAGMA user_version=2")
    upgraded = Database(path, now_unix_s=lambda: 9.0)
    await upgraded.open()
    (found,) = await upgraded.run(inventory.computations)
    assert (found.key, found.used_unix_s) == ("c", 9.0)
    assert await upgraded.run(_born) == born
    await upgraded.close()
    assert backups(tmp_path) == [tmp_path / "ledger.sqlite.schema2.bak"]


def _born(connection: sqlite3.Connection) -> object:
    return connection.execute("SELECT value FROM meta WHERE key='born_unix_s'").fetchall()


async def test_a_job_from_before_homes_is_homed_where_it_lies_and_names_its_files(upgraded: Database) -> None:
    ledger = Ledger(upgraded, node_id="here")
    await ledger.take_home(lambda _: (FILE,))  # pyright: ignore[reportArgumentType] - a hash
    await Ledger(upgraded, node_id="another").take_home(lambda _: ())
    (job,) = await ledger.jobs()
    assert (job.home, job.blobs) == ("here", (FILE,))


async def test_the_older_file_stays_beside_the_upgraded_one(upgraded: Database, tmp_path: Path) -> None:
    backup = tmp_path / "ledger.sqlite.schema1.bak"
    assert backup.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(backup) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT unit_key FROM results ORDER BY unit_key").fetchall() == [("k1",), ("k2",)]


async def test_an_upgrade_that_breaks_off_changes_nothing_and_can_be_begun_again(tmp_path: Path) -> None:
    path = older(tmp_path / "ledger.sqlite")
    (tmp_path / "ledger.sqlite.schema1.bak.new").write_bytes(b"left by the first attempt")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE audit (something TEXT)")  # in the way of the new table of that name
    broken = Database(path)
    with pytest.raises(sqlite3.OperationalError, match="audit"):
        await broken.open()
    await broken.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT COUNT(*) FROM results").fetchone() == (2,)
        connection.execute("DROP TABLE audit")
    mended = Database(path)
    await mended.open()
    assert (await Ledger(mended).counts())["results"] == 2
    await mended.close()


async def test_a_file_of_the_next_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    database = Database(path)
    with pytest.raises(LedgerTooNew, match="upgrade realign"):
        await database.open()
    await database.close()
    assert backups(tmp_path) == []


async def test_every_database_has_a_name_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    async def name(path: Path) -> str:
        database = Database(path)
        await database.open()
        journal = Journal(database, KINDS, clock=ManualClock())
        batch = await journal.after(await journal.position("nobody"))
        await database.close()
        return batch.end.index_id

    first = await name(tmp_path / "a.sqlite")
    assert await name(tmp_path / "a.sqlite") == first
    assert await name(tmp_path / "b.sqlite") != first
