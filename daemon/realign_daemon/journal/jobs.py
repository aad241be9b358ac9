"""Jobs as nodes share them: the frozen job with its home, its latest record, and its removal."""

from __future__ import annotations

import json
import sqlite3
from itertools import chain
from typing import Final, cast

from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import pack
from realign_daemon.journal import rehoming
from realign_daemon.journal.entries import Ref, strike
from realign_daemon.journal.facts import Facts, earliest
from realign_daemon.journal.kind import fields, is_sha256

_JOB = {
    "client_token": str,
    "spec": str,
    "created_unix_s": (int, float),
    "owner": str,
    "blobs": str,
    "home": str,
    "voters": str,
    "config_epoch": int,
    "instance": int,
    "revision": int,
}
_RECORD = {"record": str, "config_epoch": int, "instance": int, "version": int}
_COLUMNS = ", ".join(_JOB)
# The higher one stays. What follows the three numbers never differs where they are equal, unless a node is broken:
# then all nodes keep the same all the same.
_JOB_RANK = "{0}config_epoch, {0}instance, {0}revision, {0}home, {0}voters, {0}spec, {0}owner, {0}blobs"
_RECORD_RANK = "{0}config_epoch, {0}instance, {0}version, {0}record"


class JobKind:
    """Frozen jobs. The one with the higher configuration epoch, instance, revision stays, and its home with it."""

    name = "job"

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """See Kind."""
        row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE job_id=?", (ref,)).fetchone()  # noqa: S608 - our own column names
        return pack(dict(zip(_JOB, row, strict=True))) if row else None

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind. A removed job stays removed. One that was given another home, as is known here, has that one."""
        found = fields(payload, _JOB)
        _hashes(found["blobs"])
        _check_voters(found["voters"], home=found["home"])
        if not found["home"]:
            raise ValueError("the job has no home")
        if is_removed(connection, ref):
            return False
        news = ", ".join(f"{name}=excluded.{name}" for name in _JOB)
        done = connection.execute(
            f"INSERT INTO jobs (job_id, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?) "  # noqa: S608 - see above
            f"ON CONFLICT(job_id) DO UPDATE SET {news} "
            f"WHERE ({_JOB_RANK.format('excluded.')}) > ({_JOB_RANK.format('')})",
            (ref, *found.values()),
        )
        return rehoming.advance(connection, ref) or done.rowcount > 0

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:
        """See Kind."""
        return _hashes(fields(payload, _JOB)["blobs"])


class RecordKind:
    """How far jobs are, as their homes wrote it down last."""

    name = "record"

    def load(self, connection: sqlite3.Connection, ref: str) -> bytes | None:
        """See Kind."""
        query = "SELECT record, config_epoch, instance, version FROM records WHERE job_id=?"
        row = connection.execute(query, (ref,)).fetchone()
        return pack(dict(zip(_RECORD, row, strict=True))) if row else None

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind. A removed job stays removed."""
        found = fields(payload, _RECORD)
        if is_removed(connection, ref):
            return False
        done = connection.execute(
            "INSERT INTO records (job_id, record, config_epoch, instance, version) VALUES (?,?,?,?,?) "  # noqa: S608 - see above
            "ON CONFLICT(job_id) DO UPDATE SET record=excluded.record, config_epoch=excluded.config_epoch, "
            "instance=excluded.instance, version=excluded.version "
            f"WHERE ({_RECORD_RANK.format('excluded.')}) > ({_RECORD_RANK.format('')})",
            (ref, *found.values()),
        )
        return done.rowcount > 0

    def blobs(self, payload: bytes) -> tuple[Sha256, ...]:  # noqa: ARG002 - a record names none
        """See Kind."""
        return ()


class Intents(Facts):
    """What somebody asked of a job whose home was away: to cancel one instance of it; see `cancelling`."""

    def __init__(self) -> None:
        super().__init__("intent", earliest)

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind. Nothing is asked of a removed job."""
        job_id, _, what = ref.partition("/")
        config_epoch, _, instance = what.removeprefix("cancel/").partition("/")
        if cancelling(job_id, int(config_epoch), int(instance)).ref != ref:
            raise ValueError("the name is not that of a job's instance to cancel")
        return not is_removed(connection, job_id) and super().merge(connection, ref, payload)


class Tombstones(Facts):
    """Jobs that were removed: nothing of them comes back, from whatever node, and nobody votes on them any more."""

    def __init__(self) -> None:
        super().__init__("tombstone", earliest)

    def merge(self, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        """See Kind."""
        changed = super().merge(connection, ref, payload)
        for table in ("jobs", "records", "job_units", "ballots", "decisions"):
            connection.execute(f"DELETE FROM {table} WHERE job_id=?", (ref,))  # noqa: S608 - our own table names
        first, end = f"{ref}/", f"{ref}0"  # 0 comes after /: all names that begin with the job's and a stroke
        connection.execute("DELETE FROM shared_facts WHERE kind='intent' AND ref>=? AND ref<?", (first, end))
        query = "SELECT kind, ref FROM journal WHERE kind=? AND ref>=? AND ref<?"
        parts = [connection.execute(query, (kind, first, end)).fetchall() for kind in ("decision", "intent")]
        for kind, gone in (("job", ref), ("record", ref), *chain.from_iterable(parts)):
            strike(connection, Ref(kind=kind, ref=gone))
        return changed


def cancelling(job_id: str, config_epoch: int, instance: int) -> Ref:
    """The intent to cancel this instance of the job: a later one, begun by a retry or an adoption, is not meant."""
    return Ref(kind="intent", ref=f"{job_id}/cancel/{config_epoch}/{instance}")


def is_removed(connection: sqlite3.Connection, job_id: str) -> bool:
    """Whether the job has a tombstone."""
    query = "SELECT 1 FROM shared_facts WHERE kind='tombstone' AND ref=?"
    return connection.execute(query, (job_id,)).fetchone() is not None


def _check_voters(text: str, *, home: str) -> None:
    """Raises ValueError for anything but a JSON list of node ids with the home among them, or none."""
    try:
        plain: object = json.loads(text)
    except RecursionError as error:
        raise ValueError("the list of voters is nested") from error
    voters = cast("list[object]", plain) if isinstance(plain, list) else [None]
    if not all(isinstance(one, str) for one in voters) or len(set(voters)) != len(voters):
        raise ValueError("the job's voters are no list of node ids")
    if voters and home not in voters:
        raise ValueError("the job's home is none of its voters")


def _hashes(text: str) -> tuple[Sha256, ...]:
    """The content hashes in a JSON list. Raises ValueError when it is none."""
    try:
        plain: object = json.loads(text)
    except RecursionError as error:
        raise ValueError("the list of files is nested") from error
    found = cast("list[object]", plain) if isinstance(plain, list) else [None]
    if not all(is_sha256(one) for one in found):
        raise ValueError("the job's files are no list of content hashes")
    return tuple(cast("list[Sha256]", found))


JOBS: Final = JobKind()
RECORDS: Final = RecordKind()
INTENTS: Final = Intents()
TOMBSTONES: Final = Tombstones()
