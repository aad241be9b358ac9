"""A voter whose ledger was lost keeps out of what it may have voted on, and votes on the rest."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realign_daemon.cluster.identity import load_identity
from realign_daemon.decision.amnesia import CLOCKS_DIFFER_S
from realign_daemon.decision.ballot import NEVER, Ballot
from realign_daemon.decision.decisions import Decisions
from realign_daemon.decision.messages import (
    Accept,
    Accepted,
    Decision,
    Known,
    Prepare,
    Promised,
    Refused,
    Reply,
    Request,
)
from realign_daemon.decision.store import DecisionStore
from realign_daemon.decision.value import Ended, Rehomed, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import pack
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.journal.jobs import JOBS
from realign_daemon.journal.kind import merged
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger, StoredJob

BORN = 1_000_000.0
DONE = Ended(state="completed", manifest=Sha256("d" * 64))
BALLOT = Ballot(epoch=1, node="b")
PREPARE = Prepare(job_id="J", instance=0, ballot=BALLOT)
ACCEPT = Accept(job_id="J", instance=0, ballot=BALLOT, value=value_to_bytes(DONE))
EARLY, LATE = BORN + CLOCKS_DIFFER_S - 1, BORN + CLOCKS_DIFFER_S


class Voter:
    """Node a."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = DecisionStore(database, noted=noted_decision)

    async def hear_of_job(self, created_unix_s: float) -> None:
        fields = {"client_token": "", "spec": "{}", "created_unix_s": created_unix_s, "owner": "", "blobs": "[]"}
        fields |= {"home": "a", "voters": '["a"]', "config_epoch": 0, "instance": 0, "revision": 0}
        await self.database.run(lambda connection: merged(connection, JOBS, "J", pack(fields)))

    async def claim(self) -> Reply:
        return await self.store.claim("J", 0, node="a", config_epoch=0, above=NEVER)

    async def answers(self) -> list[Reply]:
        return [await self.store.answer(PREPARE), await self.store.answer(ACCEPT), await self.claim()]

    def decisions(self) -> Decisions:
        return Decisions(node="a", store=self.store, voters=Silence(), clock=ManualClock(), chance=random.Random(1))


class Silence:
    async def ask(self, node: str, request: Request) -> Reply:
        raise ConnectionError(node)


@asynccontextmanager
async def started(folder: Path) -> AsyncGenerator[Voter]:
    """A voter as a daemon starts it."""
    identity = load_identity(folder)
    database = Database(folder / "ledger.sqlite", now_unix_s=lambda: BORN)
    await database.open(voted_before=not identity.is_new)
    try:
        yield Voter(database)
    finally:
        await database.close()


@asynccontextmanager
async def amnesiac(folder: Path) -> AsyncGenerator[Voter]:
    """Its ledger was lost, its key was not."""
    async with started(folder):
        pass
    (folder / "ledger.sqlite").unlink()
    async with started(folder) as voter:
        yield voter


ALL_REFUSED = [Refused(highest=NEVER)] * 3
ALL_GRANTED = [
    Promised(ballot=BALLOT, vote=None),
    Accepted(ballot=BALLOT),
]


async def test_a_new_node_and_one_that_starts_again_with_its_ledger_vote_on_every_job(tmp_path: Path) -> None:
    async with started(tmp_path) as voter:
        assert (await voter.answers())[:2] == ALL_GRANTED
    async with started(tmp_path) as voter:
        assert await voter.store.answer(ACCEPT) == Refused(highest=Ballot(epoch=2, node="a"))


async def test_a_voter_that_lost_its_ledger_says_nothing_on_a_job_that_it_does_not_know(tmp_path: Path) -> None:
    async with amnesiac(tmp_path) as voter:
        assert await voter.answers() == ALL_REFUSED


@pytest.mark.parametrize("created_unix_s", [0.0, BORN, EARLY])
async def test_nor_on_one_that_may_be_older_than_the_ledger_be_the_daemon_started_ever_so_often(
    tmp_path: Path, created_unix_s: float
) -> None:
    async with amnesiac(tmp_path) as voter:
        await voter.hear_of_job(created_unix_s)
        assert await voter.answers() == ALL_REFUSED
    async with started(tmp_path) as voter:
        assert await voter.answers() == ALL_REFUSED


async def test_it_votes_on_a_job_that_was_begun_later(tmp_path: Path) -> None:
    async with amnesiac(tmp_path) as voter:
        await voter.hear_of_job(LATE)
        assert (await voter.answers())[:2] == ALL_GRANTED


async def test_it_votes_on_a_job_that_was_submitted_to_it_since(tmp_path: Path) -> None:
    async with amnesiac(tmp_path) as voter:
        job = StoredJob(job_id="J", client_token="", spec="{}", record="{}", created_unix_s=BORN + 1)
        await Ledger(voter.database, node_id="a").add_job(job)
        assert (await voter.answers())[:2] == ALL_GRANTED


async def test_it_passes_on_what_was_decided(tmp_path: Path) -> None:
    async with amnesiac(tmp_path) as voter:
        decision = Decision(config_epoch=0, value=value_to_bytes(DONE))
        await voter.store.learn("J", 0, decision)
        assert await voter.answers() == [Known(decision=decision)] * 3


async def test_it_ends_a_job_that_somebody_adopts_here_and_in_that_config_epoch_only(tmp_path: Path) -> None:
    async with amnesiac(tmp_path) as voter:
        await voter.hear_of_job(0.0)
        elsewhere = value_to_bytes(Rehomed(home="b", voters=("a", "b")))
        await voter.store.learn("J", 0, Decision(config_epoch=9, value=elsewhere))
        foreign = Ballot(config_epoch=9, epoch=1, node="b")
        assert await voter.store.answer(Prepare(job_id="J", instance=1, ballot=foreign)) == Refused(highest=NEVER)

        adopted = await voter.decisions().adopt("J", 1, "a", ("a", "b"))
        epoch = adopted.config_epoch
        ended = await voter.decisions().decide("J", 2, "a", ("a", "b"), DONE, config_epoch=epoch)
        assert ended == DONE
        following = await voter.store.claim("J", 3, node="a", config_epoch=epoch, above=NEVER)
        assert following == Promised(ballot=Ballot(config_epoch=epoch, epoch=1, node="a"), vote=None)


async def test_it_adopts_in_no_config_epoch_that_it_may_have_adopted_in_before(tmp_path: Path) -> None:
    async with started(tmp_path) as voter:
        before = await voter.decisions().adopt("J", 0, "a", ("a",))
    (tmp_path / "ledger.sqlite").unlink()
    async with started(tmp_path) as voter:
        after = await voter.decisions().adopt("J", 0, "a", ("a", "b"))
    assert after.config_epoch != before.config_epoch


async def test_nobody_votes_on_a_removed_job_or_keeps_what_was_decided_of_it(tmp_path: Path) -> None:
    async with started(tmp_path) as voter:
        await voter.store.answer(PREPARE)
        await Ledger(voter.database, node_id="a").remove_job("J", by="owner", at_unix_s=1.0)
        assert await voter.answers() == ALL_REFUSED
        decision = Decision(config_epoch=0, value=value_to_bytes(DONE))
        assert await voter.store.learn("J", 0, decision) == decision
        assert await voter.store.decision("J", 0) is None
