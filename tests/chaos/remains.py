"""Remains: what a daemon that has ended left on its disk, read from outside."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A value that a node holds for decided."""

    job_id: str
    instance: int
    config_epoch: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A file of rows in which some stand twice."""

    path: Path
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """Of one node."""

    node: str
    homes: Mapping[str, str]  # job -> node id
    uses: frozenset[tuple[str, str]]  # job and unit key, of the jobs that ran here
    results: frozenset[tuple[str, str]]  # unit key, hash of the result
    done: tuple[str, ...]  # keys of the units that this node computed to an end, one entry each time
    decided: frozenset[Decided]
    journal: frozenset[tuple[str, str, bytes]]  # kind, name, digest of the version
    repeated: tuple[Repeated, ...]


def read_remains(folder: Path) -> Remains:
    """What lies in the data directory. Of the database a copy is opened, as opening it would tidy it up."""
    with tempfile.TemporaryDirectory(prefix="realign-remains-") as copy:
        for file in folder.glob("ledger.sqlite*"):
            if file.suffix != ".sqlite-shm":
                shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy) / "ledger.sqlite")) as connection:
            return Remains(
                node=folder.name,
                homes=dict(connection.execute("SELECT job_id, home FROM jobs")),
                uses=frozenset(connection.execute("SELECT job_id, unit_key FROM job_units")),
                results=frozenset(connection.execute("SELECT unit_key, result_hash FROM results")),
                done=tuple(
                    key for (key,) in connection.execute("SELECT unit_key FROM executions WHERE outcome='done'")
                ),
                decided=frozenset(_decided(connection)),
                journal=frozenset(connection.execute("SELECT kind, ref, digest FROM journal")),
                repeated=tuple(_repeated(folder)),
            )


def _decided(connection: sqlite3.Connection) -> Iterator[Decided]:
    rows = connection.execute("SELECT job_id, instance, config_epoch, value FROM decisions")
    for job_id, instance, config_epoch, value in rows:
        yield Decided(job_id=job_id, instance=instance, config_epoch=config_epoch, value=value)


def _repeated(folder: Path) -> Iterator[Repeated]:
    for path in sorted(folder.glob("*/*/train.jsonl")):
        rows = [cast("dict[str, Any]", json.loads(line)) for line in path.read_text().splitlines()]
        ids = Counter(row["id"] for row in rows)
        contents = Counter(
            json.dumps({name: row[name] for name in row if name != "id"}, sort_keys=True) for row in rows
        )
        twice = max(len(rows) - len(ids), len(rows) - len(contents))
        if twice:
            yield Repeated(path=path, rows=twice)
