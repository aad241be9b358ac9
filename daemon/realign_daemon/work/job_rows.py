"""Job rows: jobs and their records in the database. Every function runs inside a transaction of the caller."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from realign_daemon.decision import amnesia
from realign_daemon.decision.claim import Claim
from realign_daemon.engine.api import Sha256
from realign_daemon.journal.jobs import JOBS, RECORDS
from realign_daemon.journal.kind import noted

_SELECT = (
    "SELECT job_id, client_token, spec, COALESCE(record, ''), created_unix_s, owner, blobs, home, voters, "
    "jobs.config_epoch, jobs.instance FROM jobs LEFT JOIN records USING (job_id)"
)
_STANDS = "jobs.config_epoch=COALESCE(?, jobs.config_epoch) AND jobs.instance=COALESCE(?, jobs.instance)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job's frozen spec and its latest record, both as JSON text.

    Of another home's job the record is empty until it has come. `home` is empty where there is one node only.
    """

    job_id: str
    client_token: str
    spec: str
    record: str
    created_unix_s: float
    owner: str = ""  # the key that submitted it; empty for the machine's owner
    blobs: tuple[Sha256, ...] = ()  # files that it needs, wherever it runs
    home: str = ""  # node id
    voters: tuple[str, ...] = ()  # node ids, who decide on its end
    config_epoch: int = 0
    instance: int = 0

    @property
    def claim(self) -> Claim:
        """Under what its instance is decided."""
        return Claim(home=self.home, voters=self.voters, config_epoch=self.config_epoch, instance=self.instance)


def insert(connection: sqlite3.Connection, job: StoredJob) -> None:
    """Adds a job and its record."""
    connection.execute(
        "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,0)",
        (
            job.job_id,
            job.client_token,
            job.spec,
            job.created_unix_s,
            job.owner,
            json.dumps(job.blobs),
            job.home,
            json.dumps(job.voters),
            job.config_epoch,
            job.instance,
        ),
    )
    connection.execute(
        "INSERT INTO records VALUES (?,?,?,?,0)", (job.job_id, job.record, job.config_epoch, job.instance)
    )
    amnesia.begin(connection, job.job_id)
    noted(connection, JOBS, job.job_id)
    noted(connection, RECORDS, job.job_id)


def select(connection: sqlite3.Connection, where: str = "TRUE", *values: str) -> tuple[StoredJob, ...]:
    """Those jobs, oldest first."""
    rows: list[Any] = connection.execute(f"{_SELECT} WHERE {where} ORDER BY created_unix_s, job_id", values).fetchall()
    return tuple(
        StoredJob(
            job_id=job_id,
            client_token=client_token,
            spec=spec,
            record=record,
            created_unix_s=created_unix_s,
            owner=owner,
            blobs=tuple(json.loads(blobs)),
            home=home,
            voters=tuple(json.loads(voters)),
            config_epoch=config_epoch,
            instance=instance,
        )
        for job_id, client_token, spec, record, created_unix_s, owner, blobs, home, voters, config_epoch, instance in (
            rows
        )
    )


def claims(connection: sqlite3.Connection) -> dict[str, Claim]:
    """Under what each job is decided, by its id."""
    rows = connection.execute("SELECT job_id, home, voters, config_epoch, instance FROM jobs ORDER BY job_id")
    return {
        job_id: Claim(home=home, voters=tuple(json.loads(voters)), config_epoch=config_epoch, instance=instance)
        for job_id, home, voters, config_epoch, instance in rows
    }


def begin_next(
    connection: sqlite3.Connection, job_id: str, *, home: str, after: int, voters: tuple[str, ...], config_epoch: int
) -> None:
    """Begins the instance `after` this one at the same home, unless it stands no more, or the job has another home."""
    done = connection.execute(
        "UPDATE jobs SET instance=instance+1, voters=?, config_epoch=MAX(config_epoch, ?) "
        "WHERE job_id=? AND home=? AND instance=?",
        (json.dumps(voters), config_epoch, job_id, home, after),
    )
    if done.rowcount:
        noted(connection, JOBS, job_id)


def replace_record(
    connection: sqlite3.Connection, job_id: str, record: str, *, home: str, of: Claim | None = None
) -> None:
    """Puts the next version of a record in its place, unless the job has another home: then that one has the say.

    One `of` an instance that does not stand any more changes nothing either.
    """
    done = connection.execute(
        "UPDATE records SET record=?, version=version+1, config_epoch=jobs.config_epoch, instance=jobs.instance "  # noqa: S608 - our own text
        f"FROM jobs WHERE jobs.job_id=records.job_id AND records.job_id=? AND home=? AND {_STANDS}",
        (record, job_id, home, *_numbers(of)),
    )
    if done.rowcount:
        noted(connection, RECORDS, job_id)


def replace_spec(connection: sqlite3.Connection, job_id: str, spec: str, *, home: str, of: Claim | None = None) -> None:
    """Puts the next revision of a spec in its place, unless the job has another home; see `replace_record`."""
    done = connection.execute(
        f"UPDATE jobs SET spec=?, revision=revision+1 WHERE job_id=? AND home=? AND {_STANDS}",  # noqa: S608 - our own text
        (spec, job_id, home, *_numbers(of)),
    )
    if done.rowcount:
        noted(connection, JOBS, job_id)


def _numbers(of: Claim | None) -> tuple[int | None, int | None]:
    """What _STANDS is asked with; any instance will do where none is named."""
    return (None, None) if of is None else (of.config_epoch, of.instance)


def take_home(connection: sqlite3.Connection, job_id: str, blobs: tuple[Sha256, ...], *, home: str) -> None:
    """Gives a home, and the names of its files, to a job that has none."""
    connection.execute("UPDATE jobs SET home=?, blobs=? WHERE job_id=? AND home=''", (home, json.dumps(blobs), job_id))
    noted(connection, JOBS, job_id)
    noted(connection, RECORDS, job_id)
