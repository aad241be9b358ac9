"""Nodes that decide together: real databases and campaigns, questions passed on in memory."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realign_daemon.clock import Clock, SystemClock
from realign_daemon.decision.ballot import NEVER, Ballot, Vote
from realign_daemon.decision.decisions import PATIENCE_S, Decisions, Standing
from realign_daemon.decision.errors import Diverged, NoMajority
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
from realign_daemon.work.database import Database

VOTERS = ("a", "b", "c")
DONE = Ended(state="completed", manifest=Sha256("d" * 64))
FAILED = Ended(state="failed", manifest=Sha256("f" * 64))
ENOUGH = 6  # questions after which patience ends: three rounds with two others


class Hurry(SystemClock):
    """Rests take no time, and patience lasts until enough was asked."""

    def __init__(self) -> None:
        self.enough = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await (self.enough.wait() if seconds == PATIENCE_S else asyncio.sleep(0))


class Cluster:
    """Nodes a, b and c; passes their questions on while both ends are up."""

    def __init__(self, folder: Path) -> None:
        self.databases = {name: Database(folder / f"{name}.sqlite") for name in VOTERS}
        self.noted: list[tuple[str, str, int]] = []
        self.stores = {name: self.store(name) for name in VOTERS}
        self.down: set[str] = set()
        self.asked: list[str] = []
        self.hurry = Hurry()

    def store(self, name: str) -> DecisionStore:
        def noted(connection: sqlite3.Connection, job_id: str, instance: int) -> None:
            assert connection.in_transaction
            self.noted.append((name, job_id, instance))

        return DecisionStore(self.databases[name], noted=noted)

    def node(self, name: str, clock: Clock | None = None) -> Decisions:
        chance = random.Random(name)
        return Decisions(node=name, store=self.stores[name], voters=self, clock=clock or SystemClock(), chance=chance)

    async def ask(self, node: str, request: Request) -> Reply:
        self.asked.append(node)
        if len(self.asked) >= ENOUGH:
            self.hurry.enough.set()
        if node in self.down:
            raise ConnectionError(node)
        return await self.stores[node].answer(request)

    async def open(self) -> None:
        for database in self.databases.values():
            await database.open()

    async def close(self) -> None:
        for database in self.databases.values():
            await database.close()


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[Cluster]:
    cluster = Cluster(folder)
    await cluster.open()
    try:
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running(tmp_path) as cluster:
        yield cluster


async def test_the_home_of_two_decides_without_asking_anybody_for_a_promise(cluster: Cluster) -> None:
    cluster.down = {"b"}
    assert await cluster.node("a").decide("job", 0, "a", ("a", "b"), DONE) == DONE
    assert await cluster.node("a").standing("job", 0) == Standing(config_epoch=0, value=DONE)
    assert cluster.asked in ([], ["b"])  # for its vote, once


async def test_without_a_majority_it_says_who_is_missing(cluster: Cluster) -> None:
    cluster.down = {"a"}
    with pytest.raises(NoMajority, match="job job has no majority of its voters: a did not answer") as caught:
        await cluster.node("b", cluster.hurry).decide("job", 0, "a", ("a", "b"), DONE)
    assert (caught.value.missing, caught.value.exit_code) == (("a",), 4)
    assert await cluster.node("b").standing("job", 0) is None


async def test_a_majority_that_comes_back_in_time_is_used(cluster: Cluster) -> None:
    cluster.down = {"a", "c"}
    deciding = asyncio.create_task(cluster.node("b").decide("job", 0, "a", VOTERS, DONE))
    while len(cluster.asked) < 3:  # noqa: ASYNC110 - until it has failed once
        await asyncio.sleep(0)
    cluster.down = set()
    assert await deciding == DONE


async def test_all_who_decide_at_once_get_the_same(cluster: Cluster) -> None:
    values = {name: Ended(state="completed", manifest=Sha256(name * 64)) for name in VOTERS}
    decided = await asyncio.gather(
        *(cluster.node(name).decide("job", 0, "a", VOTERS, value) for name, value in values.items())
    )
    assert len(set(decided)) == 1
    assert decided[0] in values.values()


async def test_one_node_may_decide_one_instance_twice_at_once(cluster: Cluster) -> None:
    node = cluster.node("a")
    decided = await asyncio.gather(*(node.decide("job", 0, "a", VOTERS, value) for value in (DONE, FAILED)))
    assert len(set(decided)) == 1


async def test_a_latecomer_gets_what_was_decided_and_the_journal_notes_it_once(cluster: Cluster) -> None:
    await cluster.node("a").decide("job", 0, "a", VOTERS, DONE)
    for _ in range(2):
        assert await cluster.node("b").decide("job", 0, "a", VOTERS, FAILED) == DONE
    assert cluster.noted == [("a", "job", 0), ("b", "job", 0)]


async def test_instances_and_jobs_are_decided_apart(cluster: Cluster) -> None:
    node = cluster.node("a")
    moved = Rehomed(home="b", voters=VOTERS)
    assert await node.decide("job", 0, "a", VOTERS, moved) == moved
    assert await node.decide("job", 1, "b", VOTERS, DONE) == DONE
    assert await node.decide("other", 0, "a", VOTERS, FAILED) == FAILED


async def test_what_was_said_is_remembered_by_the_next_run_of_the_daemon(tmp_path: Path) -> None:
    ballot = Ballot(epoch=7, node="b")
    async with running(tmp_path) as cluster:
        vote = Accept(job_id="job", instance=0, ballot=ballot, value=value_to_bytes(DONE))
        await cluster.stores["a"].answer(vote)
        await cluster.node("a").learn("done", 3, FAILED, config_epoch=0)

    async with running(tmp_path) as cluster:
        low = Prepare(job_id="job", instance=0, ballot=Ballot(epoch=6, node="c"))
        assert await cluster.stores["a"].answer(low) == Refused(highest=ballot)
        claimed = await cluster.stores["a"].claim("job", 0, node="a", config_epoch=0, above=NEVER)
        kept = Vote(ballot=ballot, value=value_to_bytes(DONE))
        assert claimed == Promised(ballot=Ballot(epoch=8, node="a"), vote=kept)
        assert await cluster.node("a").standing("done", 3) == Standing(config_epoch=0, value=FAILED)


async def test_no_answer_leaves_when_its_commit_fails(cluster: Cluster) -> None:
    await cluster.databases["b"].run(lambda connection: connection.execute("DROP TABLE ballots"))
    with pytest.raises(sqlite3.OperationalError):
        await cluster.stores["b"].answer(Prepare(job_id="job", instance=0, ballot=Ballot(epoch=1, node="a")))


async def test_a_decision_that_the_journal_cannot_note_is_not_kept(cluster: Cluster) -> None:
    def full(connection: sqlite3.Connection, job_id: str, instance: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    store = DecisionStore(cluster.databases["a"], noted=full)
    with pytest.raises(sqlite3.OperationalError):
        await store.learn("job", 0, Decision(config_epoch=0, value=value_to_bytes(DONE)))
    assert await store.decision("job", 0) is None


async def test_a_second_value_for_one_instance_is_an_error_and_the_first_stays(cluster: Cluster) -> None:
    node = cluster.node("a")
    await node.learn("job", 0, DONE, config_epoch=0)
    with pytest.raises(Diverged):
        await node.learn("job", 0, FAILED, config_epoch=0)
    assert await node.standing("job", 0) == Standing(config_epoch=0, value=DONE)


async def test_an_adoption_stands_against_what_the_lost_home_decided(cluster: Cluster) -> None:
    await cluster.node("a").decide("job", 0, "a", ("a", "b"), DONE)
    adopted = await cluster.node("b").adopt("job", 0, "b", ("b",))
    assert adopted.value == Rehomed(home="b", voters=("b",))
    standing = await cluster.node("a").learn("job", 0, adopted.value, config_epoch=adopted.config_epoch)
    assert standing == adopted
    assert await cluster.node("a").learn("job", 0, DONE, config_epoch=0) == adopted


async def test_an_adopted_job_is_decided_by_those_who_have_heard_of_it(cluster: Cluster) -> None:
    b = cluster.node("b")
    adopted = await b.adopt("job", 0, "b", VOTERS)
    hurried = cluster.node("b", cluster.hurry)
    with pytest.raises(NoMajority, match="have not heard of its adoption"):
        await hurried.decide("job", 1, "b", VOTERS, DONE, config_epoch=adopted.config_epoch)
    await cluster.node("c").learn("job", 0, adopted.value, config_epoch=adopted.config_epoch)
    assert await b.decide("job", 1, "b", VOTERS, DONE, config_epoch=adopted.config_epoch) == DONE


async def test_a_node_that_has_not_heard_of_an_adoption_decides_nothing_against_it(cluster: Cluster) -> None:
    adopted = await cluster.node("b").adopt("job", 0, "b", ("b", "c"))
    epoch = adopted.config_epoch
    await cluster.node("c").learn("job", 0, adopted.value, config_epoch=epoch)
    await cluster.node("b").decide("job", 1, "b", ("b", "c"), DONE, config_epoch=epoch)
    assert await cluster.node("a").decide("job", 1, "a", VOTERS, FAILED) == DONE
    assert await cluster.node("a").standing("job", 1) == Standing(config_epoch=epoch, value=DONE)


async def test_a_voter_answers_for_a_job_that_it_does_not_know(cluster: Cluster) -> None:
    ballot = Ballot(epoch=1, node="a")
    vote = Accept(job_id="never-heard-of", instance=5, ballot=ballot, value=value_to_bytes(DONE))
    assert await cluster.stores["c"].answer(vote) == Accepted(ballot=ballot)


async def test_a_voter_that_knows_the_decision_says_so(cluster: Cluster) -> None:
    decision = Decision(config_epoch=0, value=value_to_bytes(DONE))
    await cluster.stores["c"].learn("job", 0, decision)
    ballot = Ballot(epoch=1, node="a")
    assert await cluster.stores["c"].answer(Prepare(job_id="job", instance=0, ballot=ballot)) == Known(
        decision=decision
    )
