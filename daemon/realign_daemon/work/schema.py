"""Schema: the tables of a node's database, and how an older file becomes a newer one. Forward only."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

from realign_daemon.durable_file import flush_file, flush_folder
from realign_daemon.errors import LedgerTooNew
from realign_daemon.journal.kind import noted
from realign_daemon.journal.results import FAILURES, RESULTS, result_hash

VERSION = 3
INDEX_ID_BYTES = 8

_SINCE_1 = """
CREATE TABLE job_units (
  job_id TEXT NOT NULL, stage TEXT NOT NULL, unit_key TEXT NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (job_id, stage, unit_key)
) WITHOUT ROWID;
-- What the worker child computed for a job (parsed documents, intervals), by the hash of function and arguments.
CREATE TABLE computations (computation_key TEXT PRIMARY KEY, result BLOB NOT NULL) WITHOUT ROWID;
"""

_SINCE_2 = """
-- index_id: the name of this database, minted with it. kinds: of the journal, as this node knew them last.
-- born_unix_s: when it was made. voted_before: is there when the node is older than it; see decision.amnesia.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
  job_id TEXT PRIMARY KEY, client_token TEXT NOT NULL, spec TEXT NOT NULL, created_unix_s REAL NOT NULL,
  owner TEXT NOT NULL, blobs TEXT NOT NULL, home TEXT NOT NULL, voters TEXT NOT NULL,
  config_epoch INTEGER NOT NULL, instance INTEGER NOT NULL, revision INTEGER NOT NULL
);
CREATE INDEX jobs_by_token ON jobs(client_token);
CREATE TABLE records (
  job_id TEXT PRIMARY KEY, record TEXT NOT NULL,
  config_epoch INTEGER NOT NULL, instance INTEGER NOT NULL, version INTEGER NOT NULL
);
-- A unit that was computed twice may have come out differently: readers take the result of the least hash.
CREATE TABLE results (
  unit_key TEXT NOT NULL, result_hash TEXT NOT NULL, kind TEXT NOT NULL, result BLOB NOT NULL, node TEXT NOT NULL,
  started_unix_s REAL NOT NULL, busy_s REAL NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (unit_key, result_hash)
);
-- Every time a node computed a unit, whatever came of it: two 'done' rows of one key are work done twice.
-- Failures that homes count have a uid and are shared.
CREATE TABLE executions (
  id INTEGER PRIMARY KEY, uid TEXT, unit_key TEXT NOT NULL, node TEXT NOT NULL, outcome TEXT NOT NULL,
  message TEXT NOT NULL, ended_unix_s REAL NOT NULL
);
CREATE INDEX executions_by_unit ON executions(unit_key, outcome);
CREATE UNIQUE INDEX executions_by_uid ON executions(uid) WHERE uid IS NOT NULL;
-- What this node shares with the others, in the order in which it came to have it. No seq is given out twice.
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, ref TEXT NOT NULL, digest BLOB NOT NULL,
  UNIQUE (kind, ref)
);
-- How far this node has taken in the journal of each other one.
CREATE TABLE positions (node TEXT PRIMARY KEY, index_id TEXT NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
-- Which other nodes are known to hold what this node's journal has at seq.
CREATE TABLE copies (seq INTEGER NOT NULL, node TEXT NOT NULL, PRIMARY KEY (seq, node)) WITHOUT ROWID;
-- What is known by a name and a payload: members, revocations, authorities, intents, tombstones.
CREATE TABLE shared_facts (
  kind TEXT NOT NULL, ref TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (kind, ref)
) WITHOUT ROWID;
-- A voter's promises and votes. An answer leaves only after its row is committed. Lose one, and a job can end twice.
CREATE TABLE ballots (
  job_id TEXT NOT NULL, instance INTEGER NOT NULL,
  promised_config_epoch INTEGER NOT NULL, promised_epoch INTEGER NOT NULL, promised_node TEXT NOT NULL,
  voted_config_epoch INTEGER, voted_epoch INTEGER, voted_node TEXT, voted_value BLOB,
  PRIMARY KEY (job_id, instance)
) WITHOUT ROWID;
CREATE TABLE decisions (
  job_id TEXT NOT NULL, instance INTEGER NOT NULL, config_epoch INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (job_id, instance)
) WITHOUT ROWID;
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, method TEXT NOT NULL,
  object TEXT NOT NULL, outcome TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL
);
"""

# A job of schema 1 has no home yet; see Ledger.take_home.
_FROM_1 = """
INSERT INTO jobs SELECT job_id, client_token, spec, created_unix_s, '', '[]', '', '[]', 0, 0, 0 FROM old_jobs;
INSERT INTO records SELECT job_id, record, 0, 0, 0 FROM old_jobs;
INSERT INTO results SELECT unit_key, result_hash(result), kind, result, node, started_unix_s, busy_s, tokens
  FROM old_results ORDER BY stored_unix_s, unit_key;
INSERT INTO executions SELECT id, CASE outcome WHEN 'done' THEN NULL ELSE value || '/' || id END, unit_key, node,
  outcome, message, ended_unix_s FROM old_executions JOIN meta ON key='index_id';
DROP TABLE old_jobs;
DROP TABLE old_results;
DROP TABLE old_executions;
"""


_SINCE_3 = """
-- used_unix_s: when it was asked for last, give or take an hour; see Ledger.computation.
ALTER TABLE computations ADD COLUMN used_unix_s REAL NOT NULL DEFAULT 0;
-- boot: the run of the other node's daemon that gave the position out; see journal.restored.
ALTER TABLE positions ADD COLUMN boot TEXT NOT NULL DEFAULT '';
"""


def prepare(
    connection: sqlite3.Connection,
    path: Path,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    *,
    now_unix_s: float = 0.0,
    voted_before: bool = False,
) -> None:
    """Makes the tables of an empty database, or brings an older one up to date, with a copy of it left beside it.

    `voted_before`: the node is older than an empty database, and may have voted; before schema 2 no node did.

    Raises:
        LedgerTooNew: a newer realign wrote it.
        sqlite3.OperationalError: there is no room for the copy, or the disk fails.
    """
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise LedgerTooNew(path=str(path), found=found, known=VERSION)
    if found == VERSION:
        return
    if found:
        _back_up(connection, path.with_name(f"{path.name}.schema{found}.bak"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not found:
            _run(connection, _SINCE_1)
            _make(connection, random_bytes)
            if voted_before:
                connection.execute("INSERT INTO meta VALUES ('voted_before', '1')")
        elif found == 1:
            _upgrade_1(connection, random_bytes)
        if found < 2:  # noqa: PLR2004 - the schema that began to note it
            connection.execute("INSERT INTO meta VALUES ('born_unix_s', ?)", (str(now_unix_s),))
        _run(connection, _SINCE_3)
        connection.execute("UPDATE computations SET used_unix_s=?", (now_unix_s,))
        connection.execute(f"PRAGMA user_version={VERSION}")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def failure_uid(index_id: str, row_id: int) -> str:
    """The name of a failure that was noted in this database: no other database gives the same."""
    return f"{index_id}/{row_id}"


def _make(connection: sqlite3.Connection, random_bytes: Callable[[int], bytes]) -> None:
    _run(connection, _SINCE_2)
    connection.execute("INSERT INTO meta VALUES ('index_id', ?)", (random_bytes(INDEX_ID_BYTES).hex(),))


def _upgrade_1(connection: sqlite3.Connection, random_bytes: Callable[[int], bytes]) -> None:
    for table in ("jobs", "results", "executions"):
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    connection.execute("DROP INDEX executions_by_unit")
    _make(connection, random_bytes)
    connection.create_function("result_hash", 1, result_hash, deterministic=True)
    _run(connection, _FROM_1)
    for (uid,) in connection.execute("SELECT uid FROM executions WHERE uid IS NOT NULL ORDER BY id").fetchall():
        noted(connection, FAILURES, uid)
    refs = connection.execute("SELECT unit_key || '/' || result_hash FROM results ORDER BY rowid").fetchall()
    for (ref,) in refs:
        noted(connection, RESULTS, ref)


def _back_up(connection: sqlite3.Connection, to: Path) -> None:
    unfinished = to.with_name(f"{to.name}.new")
    unfinished.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(unfinished),))
    unfinished.chmod(0o600)
    flush_file(unfinished)
    unfinished.replace(to)
    flush_folder(to.parent)


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Every statement of the script, inside the transaction: `executescript` would commit it."""
    lines = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    for statement in lines.split(";"):
        connection.execute(statement)
