"""What the ledger has acknowledged survives a power cut at any moment, and the test would see it if it did not."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("apsw", reason="only apsw lets SQLite run on a file system written in Python")

from tests.sim.simulated_disk import Disk

from realign_daemon.errors import DiskFailed
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger, StoredJob, StoredResult
from realign_daemon.work.units import UnitKey

CUTS = 150
OPERATIONS = 400  # at most, before the power goes
FILE = Path("/ledger.sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was there after a power cut."""

    acknowledged: int
    lost: int
    is_damaged: bool


def result(key: str, size_bytes: int) -> StoredResult:
    return StoredResult(
        key=UnitKey(key), kind="generated", result=b"r" * size_bytes, node="a", started_unix_s=1.0, busy_s=0.5, tokens=1
    )


async def write(ledger: Ledger, chance: random.Random, acknowledged: set[str], *, too_early: bool) -> None:
    """Jobs and results until the disk is gone; what is acknowledged is noted."""
    for number in range(OPERATIONS):
        keys = [f"{number}.{index}" for index in range(chance.randint(1, 3))]
        if too_early:
            acknowledged.update(keys)
        rows = [result(key, chance.randint(1, 6_000)) for key in keys]
        await ledger.add_results(rows, now_unix_s=1.0, computed=True)
        acknowledged.update(keys)
        if number % 5 == 0:
            job = f"job-{number}"
            await ledger.add_job(StoredJob(job_id=job, client_token=job, spec="{}", record="0", created_unix_s=1.0))
            acknowledged.add(job)


async def cut(
    seed: int, *, flushes: bool = True, too_early: bool = False, instead: Callable[[str], str] = lambda sql: sql
) -> Found:
    """One run, one power cut, and what is found."""
    chance = random.Random(seed)
    disk = Disk(chance, flushes=flushes)
    database = Database(FILE, connect=lambda path: disk.connect(path, instead=instead))
    await database.open()
    for made in disk.files():
        made.flush()  # the cut comes later than the making of the tables
    disk.cut_at = disk.operations + chance.randint(1, OPERATIONS)
    acknowledged: set[str] = set()
    with pytest.raises(DiskFailed):
        await write(Ledger(database), chance, acknowledged, too_early=too_early)
    await database.close()
    return await found(disk.after_power_cut(), acknowledged)


async def found(disk: Disk, acknowledged: set[str]) -> Found:
    database = Database(FILE, connect=disk.connect)
    try:
        await database.open()
        ledger = Ledger(database)
        here = {str(key) for key in await ledger.results([UnitKey(key) for key in acknowledged])}
        here |= {job.job_id for job in await ledger.jobs()}
        sound = await database.run(lambda connection: connection.execute("PRAGMA integrity_check").fetchall())
    except (DiskFailed, sqlite3.DatabaseError, ValueError, TypeError):  # whatever damage leads to
        return Found(acknowledged=len(acknowledged), lost=len(acknowledged), is_damaged=True)
    finally:
        await database.close()
        disk.end()
    return Found(acknowledged=len(acknowledged), lost=len(acknowledged - here), is_damaged=sound != [("ok",)])


async def test_no_power_cut_loses_what_was_acknowledged() -> None:
    all_found = [await cut(seed) for seed in range(CUTS)]
    assert sum(one.acknowledged for one in all_found) > 10 * CUTS
    assert [(one.lost, one.is_damaged) for one in all_found] == [(0, False)] * CUTS


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
async def test_a_ledger_that_does_not_flush_every_commit_would_be_found_out(synchronous: str) -> None:
    def sabotage(sql: str) -> str:
        return sql.replace("synchronous=FULL", f"synchronous={synchronous}")

    assert any([(await cut(seed, instead=sabotage)).lost for seed in range(10)])


async def test_a_ledger_that_acknowledges_before_the_commit_would_be_found_out() -> None:
    assert any([(await cut(seed, too_early=True)).lost for seed in range(10)])


async def test_a_disk_that_only_says_that_it_flushes_would_be_found_out() -> None:
    assert any([(await cut(seed, flushes=False)).lost for seed in range(10)])


async def test_a_flush_that_fails_ends_everything_and_is_not_tried_again() -> None:
    disk = Disk(random.Random(0))
    database = Database(FILE, connect=disk.connect)
    await database.open()
    ledger = Ledger(database)
    await ledger.add_results([result("before", 10)], now_unix_s=1.0, computed=True)
    disk.fail_flush = True
    watch = asyncio.create_task(database.watch())
    with pytest.raises(DiskFailed):
        await ledger.add_results([result("lost", 10)], now_unix_s=1.0, computed=True)
    operations = disk.operations
    for _ in range(3):
        with pytest.raises(DiskFailed, match="realignd stops"):
            await ledger.add_results([result("again", 10)], now_unix_s=1.0, computed=True)
    with pytest.raises(DiskFailed):
        await watch
    await database.close()
    assert disk.operations == operations
    disk.end()
