"""Ledger: what a node must never lose: jobs, results of units by key, and every time a unit was computed."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from realign_daemon.decision.claim import Claim
from realign_daemon.engine.api import Sha256
from realign_daemon.journal import rehoming
from realign_daemon.journal.entries import index_id
from realign_daemon.journal.facts import asked
from realign_daemon.journal.jobs import INTENTS, TOMBSTONES, cancelling
from realign_daemon.journal.kind import merged, noted
from realign_daemon.journal.results import FAILURES, RESULTS, result_hash
from realign_daemon.work import job_rows
from realign_daemon.work.database import Database
from realign_daemon.work.job_rows import StoredJob
from realign_daemon.work.schema import failure_uid
from realign_daemon.work.units import UnitKey

USE_NOTED_EVERY_S = 3600.0  # so that what a job asks for again and again costs one write
COUNTED_EVERY_S = 5.0  # 5 to 8 ms among 100,000 (measured 2026-11-23)
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


class Ledger:
    """The tables of one node. Every call is one durable transaction.

    What others are to have, too, goes into the journal in the same transaction.
    """

    def __init__(self, database: Database, *, node_id: str = "") -> None:
        """`node_id` is this node's: the home of the jobs that are added here."""
        self._database = database
        self._node_id = node_id
        self._count, self._count_at_s = 0, -math.inf  # results as of the last count, and when to count again

    async def take_home(self, blobs_of: Callable[[str], tuple[Sha256, ...]]) -> None:
        """Makes this node the home of jobs that have none: before schema 2 a ledger had only its own.

        `blobs_of` names the files of a job by its spec. Once, before anything else is asked.
        """

        def work(connection: sqlite3.Connection) -> None:
            for job in job_rows.select(connection, "home=''"):
                job_rows.take_home(connection, job.job_id, blobs_of(job.spec), home=self._node_id)

        await self._database.run(work)

    async def add_job(self, job: StoredJob) -> StoredJob:
        """The stored job, homed here: the given one, or the earlier one with the same client token."""

        def work(connection: sqlite3.Connection) -> StoredJob:
            mine = ("client_token=? AND home=?", job.client_token, self._node_id)
            if not job_rows.select(connection, *mine):
                job_rows.insert(connection, replace(job, home=self._node_id))
            return job_rows.select(connection, *mine)[0]

        return await self._database.run(work)

    async def save_record(self, job_id: str, record: str, *, of: Claim | None = None) -> None:
        """Replaces the job's record. That of a job that has got another home is left to that one.

        One `of` an instance that has ended since, as the job was away and came back, is left out.
        """
        await self._database.run(
            lambda connection: job_rows.replace_record(connection, job_id, record, home=self._node_id, of=of)
        )

    async def save_spec(self, job_id: str, spec: str, *, of: Claim | None = None) -> None:
        """Replaces the job's spec: only a retry with new settings does. For the rest see `save_record`."""
        await self._database.run(
            lambda connection: job_rows.replace_spec(connection, job_id, spec, home=self._node_id, of=of)
        )

    async def remove_job(self, job_id: str, *, by: str, at_unix_s: float) -> None:
        """Removes the job for ever, here and, as they hear of it, on all other nodes. Its results stay."""

        def work(connection: sqlite3.Connection) -> None:
            TOMBSTONES.merge(connection, job_id, asked(by, at_unix_s))
            noted(connection, TOMBSTONES, job_id)

        await self._database.run(work)

    async def jobs(self) -> tuple[StoredJob, ...]:
        """All jobs homed here, oldest first."""
        return await self._database.run(lambda connection: job_rows.select(connection, "home=?", self._node_id))

    async def all_jobs(self) -> tuple[StoredJob, ...]:
        """All jobs of the cluster that this node has heard of, oldest first."""
        return await self._database.run(job_rows.select)

    async def homes(self) -> dict[str, str]:
        """The home of each of them, by job id."""
        rows = await self._database.run(
            lambda connection: connection.execute("SELECT job_id, home FROM jobs").fetchall()
        )
        return {str(job_id): str(home) for job_id, home in rows}

    async def job(self, job_id: str) -> StoredJob | None:
        """The one of that id, wherever it is homed."""
        found = await self._database.run(lambda connection: job_rows.select(connection, "job_id=?", job_id))
        return found[0] if found else None

    async def job_of_token(self, client_token: str) -> StoredJob | None:
        """The job that was submitted with this token, wherever it is homed; the oldest if there are several."""
        found = await self._database.run(lambda connection: job_rows.select(connection, "client_token=?", client_token))
        return found[0] if found else None

    async def claims(self) -> dict[str, Claim]:
        """Under what each job of the cluster is decided, by its id."""
        return await self._database.run(job_rows.claims)

    async def begin_next(self, job_id: str, *, after: int, voters: tuple[str, ...], config_epoch: int) -> Claim | None:
        """Begins the instance `after` that one, if it stands, of a job homed here; None where it is not, or is gone.

        `config_epoch` is that of the decision on the instance before.
        """

        def work(connection: sqlite3.Connection) -> Claim | None:
            job_rows.begin_next(
                connection, job_id, home=self._node_id, after=after, voters=voters, config_epoch=config_epoch
            )
            found = job_rows.select(connection, "job_id=? AND home=?", job_id, self._node_id)
            return found[0].claim if found else None

        return await self._database.run(work)

    async def ask_to_cancel(self, job_id: str, claim: Claim, *, by: str, at_unix_s: float) -> None:
        """Notes, for whichever node runs it, that this instance is to be cancelled."""
        ref = cancelling(job_id, claim.config_epoch, claim.instance).ref
        await self._database.run(lambda connection: merged(connection, INTENTS, ref, asked(by, at_unix_s)))

    async def cancels(self) -> frozenset[tuple[str, int, int]]:
        """The jobs, each with its config epoch and instance, that somebody asked to cancel.

        Who has asked of an instance before the voters moved its job means the one that goes on with it.
        """
        return await self._database.run(_cancels)

    @staticmethod
    def carries_cancel(
        job_id: str, claim: Claim, *, by: str, at_unix_s: float
    ) -> Callable[[sqlite3.Connection, int], None]:
        """For the transaction that adopts the job in a new config epoch: what was to be cancelled is there as well."""

        def carry(connection: sqlite3.Connection, config_epoch: int) -> None:
            if (job_id, claim.config_epoch, claim.instance) in _cancels(connection):
                ref = cancelling(job_id, config_epoch, claim.instance + 1).ref
                merged(connection, INTENTS, ref, asked(by, at_unix_s))

        return carry

    async def twins(self) -> dict[str, tuple[str, ...]]:
        """The jobs that one and the same submit made more than once, as it was sent to several nodes; each by all."""
        query = (
            "SELECT one.job_id, other.job_id FROM jobs AS one JOIN jobs AS other USING (client_token, owner) "
            "WHERE one.job_id != other.job_id AND client_token != '' ORDER BY one.job_id, other.job_id"
        )
        found: dict[str, tuple[str, ...]] = {}
        for one, other in await self._database.run(lambda connection: connection.execute(query).fetchall()):
            found[str(one)] = (*found.get(str(one), ()), str(other))
        return found

    async def used(self, job_id: str) -> list[tuple[UnitKey, Sha256]]:
        """Units that the job's stages asked for and that have a result, each with the hash of that which counts."""
        query = (
            "SELECT unit_key, MIN(result_hash) FROM results "
            "WHERE unit_key IN (SELECT unit_key FROM job_units WHERE job_id=?) GROUP BY unit_key"
        )
        rows = await self._database.run(lambda connection: connection.execute(query, (job_id,)).fetchall())
        return [(UnitKey(key), Sha256(digest)) for key, digest in rows]

    async def results(self, keys: Sequence[UnitKey]) -> dict[UnitKey, StoredResult]:
        """Those of the keys that have a result; of several that of the least hash, which all nodes choose alike."""

        def work(connection: sqlite3.Connection) -> dict[UnitKey, StoredResult]:
            found: dict[UnitKey, StoredResult] = {}
            for start in range(0, len(keys), KEYS_A_QUERY):
                part = keys[start : start + KEYS_A_QUERY]
                marks = ",".join("?" * len(part))
                query = f"{_SELECT_RESULTS} WHERE unit_key IN ({marks}) ORDER BY unit_key, result_hash"
                for row in connection.execute(query, part):
                    found.setdefault(UnitKey(row[0]), _result(row))
            return found

        return await self._database.run(work)

    async def add_results(self, results: Iterable[StoredResult], *, now_unix_s: float, computed: bool) -> None:
        """Stores results; a key that has one keeps it. `computed` also notes that this node computed them."""
        rows = tuple(results)

        def work(connection: sqlite3.Connection) -> None:
            for row in rows:
                _add_result(connection, row)
            if computed:
                done = (Execution(key=r.key, node=r.node, outcome="done", ended_unix_s=now_unix_s) for r in rows)
                _note(connection, done)

        await self._database.run(work)

    async def note_executions(self, executions: Sequence[Execution], *, shared: bool = True) -> None:
        """Records attempts that gave no result.

        Not `shared` by a node that worked for another home: that one notes the attempt itself, and it counts once.
        """

        def work(connection: sqlite3.Connection) -> None:
            ids = _note(connection, executions)
            if shared:
                _share(connection, ids)

        await self._database.run(work)

    async def failures(self, keys: Sequence[UnitKey]) -> dict[UnitKey, list[str]]:
        """For each key that failed before, the nodes on which computing it failed, one entry a failure."""
        wanted = set(keys)

        def work(connection: sqlite3.Connection) -> dict[UnitKey, list[str]]:
            found: dict[UnitKey, list[str]] = {}
            for key, node in connection.execute(
                "SELECT unit_key, node FROM executions INDEXED BY executions_by_uid "  # which has no successes
                "WHERE uid IS NOT NULL AND outcome IN ('engine_died', 'bad_unit')"
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
            failed = f"uid IS NOT NULL AND outcome!='forgiven' AND unit_key IN ({given_up})"
            uids = connection.execute(f"SELECT uid FROM executions WHERE {failed}", (job_id, *stages)).fetchall()  # noqa: S608
            for (uid,) in uids:
                connection.execute("UPDATE executions SET outcome='forgiven' WHERE uid=?", (uid,))
                noted(connection, FAILURES, uid)
            connection.execute(
                f"UPDATE job_units SET state='wanted' WHERE job_id=? AND state='quarantined' AND stage IN ({marks})",  # noqa: S608
                (job_id, *stages),
            )

        await self._database.run(work)

    async def computation(self, key: str, *, now_unix_s: float) -> bytes | None:
        """The stored outcome of a worker-child computation, which counts as used now."""

        def work(connection: sqlite3.Connection) -> bytes | None:
            connection.execute(
                "UPDATE computations SET used_unix_s=? WHERE computation_key=? AND used_unix_s<?",
                (now_unix_s, key, now_unix_s - USE_NOTED_EVERY_S),
            )
            row = connection.execute("SELECT result FROM computations WHERE computation_key=?", (key,)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._database.run(work)

    async def add_computation(self, key: str, result: bytes, *, now_unix_s: float) -> None:
        """Stores the outcome of a worker-child computation."""
        row = (key, result, now_unix_s)
        await self._database.run(
            lambda connection: connection.execute("INSERT OR IGNORE INTO computations VALUES (?,?,?)", row)
        )

    async def result_count(self, *, now_s: float) -> int:
        """How many results there are, or were at most COUNTED_EVERY_S ago."""
        if now_s >= self._count_at_s:
            self._count_at_s = now_s + COUNTED_EVERY_S
            count = await self._database.run(lambda one: one.execute("SELECT COUNT(*) FROM results").fetchone())
            self._count = int(count[0])
        return self._count

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


def _cancels(connection: sqlite3.Connection) -> frozenset[tuple[str, int, int]]:
    refs = connection.execute("SELECT ref FROM shared_facts WHERE kind='intent'").fetchall()
    parts = (str(ref).split("/") for (ref,) in refs)
    asked_of = ((job_id, int(epoch), int(instance)) for job_id, _, epoch, instance in parts)
    return frozenset((one[0], one[1], rehoming.follow(connection, *one)) for one in asked_of)


_SELECT_RESULTS = "SELECT unit_key, kind, result, node, started_unix_s, busy_s, tokens FROM results"


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


def _add_result(connection: sqlite3.Connection, row: StoredResult) -> None:
    if connection.execute("SELECT 1 FROM results WHERE unit_key=?", (row.key,)).fetchone() is not None:
        return
    digest = result_hash(row.result)
    connection.execute(
        "INSERT INTO results VALUES (?,?,?,?,?,?,?,?)",
        (row.key, digest, row.kind, row.result, row.node, row.started_unix_s, row.busy_s, row.tokens),
    )
    noted(connection, RESULTS, f"{row.key}/{digest}")


def _note(connection: sqlite3.Connection, executions: Iterable[Execution]) -> list[int]:
    """Adds the executions and gives their row ids."""
    query = "INSERT INTO executions (unit_key, node, outcome, message, ended_unix_s) VALUES (?,?,?,?,?)"
    rows = ((e.key, e.node, e.outcome, e.message, e.ended_unix_s) for e in executions)
    return [connection.execute(query, row).lastrowid or 0 for row in rows]


def _share(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    this = index_id(connection)
    for row_id in ids:
        uid = failure_uid(this, row_id)
        connection.execute("UPDATE executions SET uid=? WHERE id=?", (uid, row_id))
        noted(connection, FAILURES, uid)
