"""The journal's promises to those who read it and to those who write into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from realign_daemon.journal.entries import Position, Ref, strike
from realign_daemon.journal.facts import Facts, asked, earliest
from realign_daemon.journal.journal import GATHER_S, Batch, Journal
from realign_daemon.journal.kinds import KINDS
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.work.database import Database

START = Position(index_id="")
FACTS = Facts("fact", earliest)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(database: Database, clock: ManualClock) -> Journal:
    return Journal(database, (FACTS,), clock=clock)


def named(*names: str) -> list[Ref]:
    return [Ref(kind="fact", ref=name) for name in names]


async def put(journal: Journal, refs: Iterable[Ref], *, at_unix_s: float = 1.0) -> None:
    for ref in refs:
        await journal.put(ref, asked("somebody", at_unix_s))


def refs(batch: Batch) -> list[Ref]:
    return [header.ref for header in batch.headers]


async def test_what_is_put_again_unchanged_keeps_its_place_and_what_changed_moves_to_the_end(journal: Journal) -> None:
    await put(journal, named("a", "b"), at_unix_s=2.0)
    await put(journal, named("a"), at_unix_s=3.0)  # asked for before: nothing new
    assert refs(await journal.after(START)) == named("a", "b")
    await put(journal, named("a"), at_unix_s=1.0)
    assert refs(await journal.after(START)) == named("b", "a")


async def test_a_follower_hears_at_once_where_it_is_and_then_of_all_that_came_within_a_moment(
    journal: Journal, clock: ManualClock
) -> None:
    following = journal.follow(START)
    assert refs(await anext(following)) == []
    news = asyncio.ensure_future(anext(following))
    await put(journal, named("a"))
    await put(journal, named("b"))
    while not news.done():
        await clock.run_for(GATHER_S)
    assert refs(news.result()) == named("a", "b")
    await following.aclose()


async def test_a_follower_of_a_journal_whose_last_headers_were_struck_is_at_its_end(
    journal: Journal, database: Database
) -> None:
    await put(journal, named("a", "b"))
    await database.run(lambda connection: strike(connection, named("b")[0]))
    batch = await journal.after(START)
    assert (refs(batch), batch.end.seq, batch.last) == (named("a"), 2, 2)


async def test_a_version_that_knows_other_kinds_takes_in_everything_again(
    database: Database, clock: ManualClock
) -> None:
    theirs = Batch(headers=(), end=Position(index_id="theirs"), last=0)
    for kinds, position in (((FACTS,), START), ((FACTS,), Position(index_id="theirs")), ((FACTS, *KINDS), START)):
        journal = Journal(database, kinds, clock=clock)
        await journal.open()
        assert await journal.position("node") == position
        await journal.advance("node", START, theirs, [])


async def test_a_fact_that_is_none_is_refused_to_this_nodes_own_parts(journal: Journal) -> None:
    with pytest.raises(ValueError):
        await journal.put(named("a")[0], b"\xc1")
    assert refs(await journal.after(START)) == []
