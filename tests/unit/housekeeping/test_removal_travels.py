"""A removal reaches every node, also one that was away, and nothing brings the job back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from realign_daemon.journal.entries import Position
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.kinds import KINDS
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.work.database import Database
from realign_daemon.work.job_rows import StoredJob
from realign_daemon.work.ledger import Ledger

JOB = StoredJob(job_id="dpo-1", client_token="t", spec="{}", record="{}", created_unix_s=1.0)


@dataclass
class Node:
    name: str
    ledger: Ledger
    journal: Journal

    async def hears(self, other: Node) -> None:
        batch = await other.journal.after(Position(index_id=""))
        items = await other.journal.load(await self.journal.missing(batch))
        await self.journal.take_in(other.name, items)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, ...]]:
    made: list[Node] = []
    async with AsyncExitStack() as stack:
        for name in ("home", "replica", "laptop"):
            database = Database(tmp_path / name)
            stack.push_async_callback(database.close)
            await database.open()
            ledger = Ledger(database, node_id=name)
            made.append(Node(name=name, ledger=ledger, journal=Journal(database, KINDS, clock=ManualClock())))
        yield tuple(made)


async def test_a_node_that_was_away_learns_of_it_and_brings_nothing_back(nodes: tuple[Node, ...]) -> None:
    home, replica, laptop = nodes
    await home.ledger.add_job(JOB)
    for node in (replica, laptop):
        await node.hears(home)
        assert [job.job_id for job in await node.ledger.all_jobs()] == ["dpo-1"]
    await home.ledger.remove_job("dpo-1", by="ada", at_unix_s=2.0)
    await replica.hears(home)
    await replica.hears(laptop)  # which still has it
    await home.hears(laptop)
    for node in (home, replica):
        assert await node.ledger.all_jobs() == ()
    await laptop.hears(replica)
    assert await laptop.ledger.all_jobs() == ()
    assert await laptop.journal.digests() == await home.journal.digests() == await replica.journal.digests()


async def test_a_record_that_is_saved_late_brings_nothing_back(nodes: tuple[Node, ...]) -> None:
    home = nodes[0]
    await home.ledger.add_job(JOB)
    await home.ledger.remove_job("dpo-1", by="ada", at_unix_s=2.0)
    await home.ledger.save_record("dpo-1", "{}")
    await home.ledger.save_spec("dpo-1", "{}")
    assert await home.ledger.all_jobs() == ()
