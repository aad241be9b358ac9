"""Ledger: what a node must never lose: jobs, results of units by key, and every time a unit was computed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from realign_daemon.work.database import Database
from realign_daemon.work.units import UnitKey

KEYS_A_QUERY = 500  # SQLite's default limit on variables in old builds is 999


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """A unit's result as computed once on one node."""

    key: UnitKey
    kind: str
    result: bytes
    node: str  # node id
    started_unix_s: float
    busy_s: float  # engine time this unit took, its share of the batch
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One time that a node computed a unit."""

    key: UnitKey
    node: str
    outcome: str  # "done" or a failure kind
    message: str = ""
    ended_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job's frozen spec and its latest record, both as JSON text."""

    job_id: str
    client_token: str
    spec: str
    record: str
    created_unix_s: float


class Ledger:
    """The tables of one node. Every call is one durable transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_job(self, job: StoredJob) -> StoredJob:
        """The stored job: the given one, or the earlier one with the same client token."""

        def work(connection: sqlite3.Connection) -> StoredJob:
            connection.execute(
                "INSERT INTO jobs VALUES (?,?,?,?,?) ON CONFLICT(client_token) DO NOTHING",
                (job.job_id, job.client_token, job.spec, job.record, job.created_unix_s),
            )
            row = connection.execute(f"{_SELECT_JOBS} WHERE client_token=?", (job.client_token,)).fetchone()
            return _job(row)

        return await self._database.run(work)

    async def save_record(self, job_id: str, record: str) -> None:
        """Replaces the job's record."""
        await self._database.run(
            lambda connection: connection.execute("UPDATE jobs SET record=? WHERE job_id=?", (record, job_id))
        )

    async def save_spec(self, job_id: str, spec: str) -> None:
        """Replaces the job's spec: only a retry with new settings does."""
        await self._database.run(
            lambda connection: connection.execute("UPDATE jobs SET spec=? WHERE job_id=?", (spec, job_id))
        )

    async def jobs(self) -> tuple[StoredJob, ...]:
        """All jobs homed here, oldest first."""
        rows = await self._database.run(
            lambda connection: connection.execute(f"{_SELECT_JOBS} ORDER BY created_unix_s, job_id").fetchall()
        )
        return tuple(_job(row) for row in rows)

    async def results(self, keys: Sequence[UnitKey]) -> dict[UnitKey, StoredResult]:
        """Those of the keys that have a result."""

        def work(connection: sqlite3.Connection) -> dict[UnitKey, StoredResult]:
            found: dict[UnitKey, StoredResult] = {}
            for start in range(0, len(keys), KEYS_A_QUERY):
                part = keys[start : start + KEYS_A_QUERY]
                marks = ",".join("?" * len(part))
                query = f"{_SELECT_RESULTS} WHERE unit_key IN ({marks})"
                for row in connection.execute(query, part):
                    found[UnitKey(row[0])] = _result(row)
            return found

        return await self._database.run(work)

    async def add_results(self, results: Iterable[StoredResult], *, now_unix_s: float, computed: bool) -> None:
        """Stores results; a key that has one keeps it. `computed` also notes that this node computed them."""
        rows = tuple(results)

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR IGNORE INTO results VALUES (?,?,?,?,?,?,?,?)",
                [(r.key, r.kind, r.result, r.node, r.started_unix_s, r.busy_s, r.tokens, now_unix_s) for r in rows],
            )
            if computed:
                _note(
                    connection,
                    [Execution(key=r.key, node=r.node, outcome="done", ended_unix_s=now_unix_s) for r in rows],
                )

        await self._database.run(work)

    async def note_executions(self, executions: Sequence[Execution]) -> None:
        """Records attempts that gave no result."""
        await self._database.run(lambda connection: _note(connection, executions))

    async def failures(self, keys: Sequence[UnitKey]) -> dict[UnitKey, list[str]]:
        """For each key that failed here before, the nodes on which computing it failed, one entry a failure."""
        wanted = set(keys)

        def work(connection: sqlite3.Connection) -> dict[UnitKey, list[str]]:
            found: dict[UnitKey, list[str]] = {}
            for key, node in connection.execute(
                "SELECT unit_key, node FROM executions WHERE outcome IN ('engine_died', 'bad_unit')"
            ):
                if key in wanted:
                    found.setdefault(UnitKey(key), []).append(str(node))
            return found

        return await self._database.run(work)

    async def set_job_units(self, job_id: str, stage: str, units: Iterable[tuple[UnitKey, str]]) -> None:
        """Notes which units a stage of a job uses and their states ("wanted", "done", "quarantined")."""
        rows = [(job_id, stage, key, state) for key, state in units]
        await self._database.run(
            lambda connection: connection.executemany("INSERT OR REPLACE INTO job_units VALUES (?,?,?,?)", rows)
        )

    async def quarantined(self, job_id: str) -> frozenset[UnitKey]:
        """The units that this job has given up on."""
        rows = await self._database.run(
            lambda connection: connection.execute(
                "SELECT unit_key FROM job_units WHERE job_id=? AND state='quarantined'", (job_id,)
            ).fetchall()
        )
        return frozenset(UnitKey(row[0]) for row in rows)

    async def forgive(self, job_id: str, stages: Sequence[str]) -> None:
        """Lets a job try again what it has given up in these stages; earlier failures of those units are forgotten."""

        def work(connection: sqlite3.Connection) -> None:
            marks = ",".join("?" * len(stages))
            given_up = f"SELECT unit_key FROM job_units WHERE job_id=? AND state='quarantined' AND stage IN ({marks})"  # noqa: S608
            connection.execute(
                f"UPDATE executions SET outcome='forgiven' WHERE outcome!='done' AND unit_key IN ({given_up})",  # noqa: S608
                (job_id, *stages),
            )
            connection.execute(
                f"UPDATE job_units SET state='wanted' WHERE job_id=? AND state='quarantined' AND stage IN ({marks})",  # noqa: S608
                (job_id, *stages),
            )

        await self._database.run(work)

    async def computation(self, key: str) -> bytes | None:
        """The stored outcome of a worker-child computation."""
        row = await self._database.run(
            lambda connection: connection.execute(
                "SELECT result FROM computations WHERE computation_key=?", (key,)
            ).fetchone()
        )
        return None if row is None else bytes(row[0])

    async def add_computation(self, key: str, result: bytes) -> None:
        """Stores the outcome of a worker-child computation."""
        await self._database.run(
            lambda connection: connection.execute("INSERT OR IGNORE INTO computations VALUES (?,?)", (key, result))
        )

    async def counts(self) -> Counter[str]:
        """`results`: units with a result; `repeated`: units that were computed more than once to an end."""

        def work(connection: sqlite3.Connection) -> Counter[str]:
            repeated = (
                "SELECT COUNT(*) FROM (SELECT unit_key FROM executions WHERE outcome='done' "
                "GROUP BY unit_key HAVING COUNT(*)>1)"
            )
            return Counter(
                results=int(connection.execute("SELECT COUNT(*) FROM results").fetchone()[0]),
                repeated=int(connection.execute(repeated).fetchone()[0]),
            )

        return await self._database.run(work)


_SELECT_RESULTS = "SELECT unit_key, kind, result, node, started_unix_s, busy_s, tokens FROM results"
_SELECT_JOBS = "SELECT job_id, client_token, spec, record, created_unix_s FROM jobs"


def _job(row: tuple[str, str, str, str, float]) -> StoredJob:
    return StoredJob(job_id=row[0], client_token=row[1], spec=row[2], record=row[3], created_unix_s=row[4])


def _result(row: tuple[str, str, bytes, str, float, float, int]) -> StoredResult:
    return StoredResult(
        key=UnitKey(row[0]),
        kind=row[1],
        result=row[2],
        node=row[3],
        started_unix_s=row[4],
        busy_s=row[5],
        tokens=row[6],
    )


def _note(connection: sqlite3.Connection, executions: Sequence[Execution]) -> None:
    connection.executemany(
        "INSERT INTO executions (unit_key, node, outcome, message, ended_unix_s) VALUES (?,?,?,?,?)",
        [(e.key, e.node, e.outcome, e.message, e.ended_unix_s) for e in executions],
    )
