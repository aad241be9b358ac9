"""What the ledger knows of who decides on a job: its claim, its next instance, wishes to cancel it, what it used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realign_daemon.decision.claim import Claim
from realign_daemon.decision.messages import Decision
from realign_daemon.decision.store import DecisionStore
from realign_daemon.decision.value import Ended, Rehomed, Value, value_to_bytes
from realign_daemon.engine.api import Sha256
from realign_daemon.engine.codec import pack
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.journal.kind import merged
from realign_daemon.journal.results import RESULTS, result_hash
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import Ledger, StoredJob
from realign_daemon.work.units import UnitKey

VOTERS = ("here", "there")
MOVED = Rehomed(home="there", voters=VOTERS)
DONE = Ended(state="completed", manifest=Sha256("d" * 64))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def here(database: Database) -> Ledger:
    """The ledger of a node with a job of its own."""
    ledger = Ledger(database, node_id="here")
    job = StoredJob(job_id="J", client_token="t", spec="{}", record="{}", created_unix_s=1.0, voters=VOTERS)
    await ledger.add_job(job)
    return ledger


async def decided(database: Database, instance: int, value: Value, *, config_epoch: int = 0) -> None:
    decision = Decision(config_epoch=config_epoch, value=value_to_bytes(value))
    await DecisionStore(database, noted=noted_decision).learn("J", instance, decision)


async def news(database: Database) -> set[tuple[str, str]]:
    """What other nodes are to hear of, as names of kinds and things."""
    rows = await database.run(lambda connection: connection.execute("SELECT kind, ref FROM journal").fetchall())
    return {(str(kind), str(ref)) for kind, ref in rows}


async def test_a_job_s_claim_is_what_it_was_submitted_under_until_it_moves(here: Ledger, database: Database) -> None:
    assert await here.claims() == {"J": Claim(home="here", voters=VOTERS)}
    await decided(database, 0, MOVED, config_epoch=3)
    assert await here.claims() == {"J": Claim(home="there", voters=VOTERS, config_epoch=3, instance=1)}


async def test_the_next_instance_is_begun_by_the_home_alone_and_its_config_epoch_never_goes_back(
    here: Ledger, database: Database
) -> None:
    there = Ledger(database, node_id="there")
    assert await there.begin_next("J", after=0, voters=("there",), config_epoch=9) is None
    assert await here.claims() == {"J": Claim(home="here", voters=VOTERS)}
    begun = await here.begin_next("J", after=0, voters=("here",), config_epoch=3)
    assert begun == Claim(home="here", voters=("here",), config_epoch=3, instance=1)
    assert await here.begin_next("J", after=0, voters=VOTERS, config_epoch=9) == begun, "it was begun already"
    begun = await here.begin_next("J", after=1, voters=VOTERS, config_epoch=0)
    assert begun == Claim(home="here", voters=VOTERS, config_epoch=3, instance=2)
    assert await here.claims() == {"J": begun}
    assert await here.begin_next("gone", after=0, voters=VOTERS, config_epoch=0) is None


async def test_what_is_written_after_an_instance_was_begun_counts_before_all_that_was_written_in_earlier_ones(
    here: Ledger, database: Database
) -> None:
    await here.begin_next("J", after=0, voters=VOTERS, config_epoch=3)
    await here.save_record("J", '{"state": "queued"}')
    rows = await database.run(lambda c: c.execute("SELECT config_epoch, instance FROM records").fetchall())
    assert rows == [(3, 1)]


async def test_what_was_written_of_an_instance_that_stands_no_more_is_left_out(
    here: Ledger, database: Database
) -> None:
    held = (await here.claims())["J"]
    await here.save_record("J", '{"of": "this"}', of=held)
    await decided(database, 0, MOVED)
    await decided(database, 1, Rehomed(home="here", voters=VOTERS))
    await here.save_record("J", '{"of": "another"}', of=held)
    await here.save_spec("J", '{"of": "another"}', of=held)
    (stored,) = await here.jobs()
    assert (stored.claim.instance, stored.record, stored.spec) == (2, '{"of": "this"}', "{}")
    await here.save_record("J", '{"of": "the next"}', of=stored.claim)
    await here.save_spec("J", '{"of": "the next"}', of=stored.claim)
    (stored,) = await here.jobs()
    assert (stored.record, stored.spec) == ('{"of": "the next"}', '{"of": "the next"}')


async def test_a_wish_to_cancel_means_one_instance_and_all_nodes_hear_of_it(here: Ledger, database: Database) -> None:
    assert await here.cancels() == frozenset()
    for at_unix_s in (2.0, 1.0):
        await here.ask_to_cancel("J", Claim(), by="me", at_unix_s=at_unix_s)
    assert await here.cancels() == {("J", 0, 0)}
    assert ("intent", "J/cancel/0/0") in await news(database)
    await decided(database, 0, DONE)
    await here.begin_next("J", after=0, voters=VOTERS, config_epoch=0)
    assert await here.cancels() == {("J", 0, 0)}, "a job that was tried again is not meant"


async def test_a_wish_to_cancel_goes_along_with_a_job_that_its_voters_move_and_no_further(
    here: Ledger, database: Database
) -> None:
    await here.ask_to_cancel("J", Claim(), by="me", at_unix_s=1.0)
    await decided(database, 0, MOVED)
    assert await here.cancels() == {("J", 0, 1)}
    await decided(database, 1, Rehomed(home="here", voters=VOTERS), config_epoch=5)
    assert await here.cancels() == {("J", 0, 1)}, "a person has adopted it since"
    await here.ask_to_cancel("J", Claim(config_epoch=5, instance=2), by="me", at_unix_s=1.0)
    await decided(database, 2, MOVED, config_epoch=5)
    assert await here.cancels() == {("J", 0, 1), ("J", 5, 3)}
    await decided(database, 3, DONE, config_epoch=5)
    assert await here.cancels() == {("J", 0, 1), ("J", 5, 3)}


async def test_the_jobs_of_one_submit_that_several_nodes_took_are_twins(here: Ledger, database: Database) -> None:
    there = Ledger(database, node_id="there")
    for job_id, token, owner in (("K", "t", ""), ("L", "u", ""), ("M", "t", "somebody else"), ("N", "v", "")):
        job = StoredJob(job_id=job_id, client_token=token, spec="{}", record="{}", created_unix_s=2.0, owner=owner)
        await there.add_job(job)
    assert await here.twins() == {"J": ("K",), "K": ("J",)}
    await here.remove_job("K", by="me", at_unix_s=3.0)
    assert await here.twins() == {}


async def test_a_removed_job_has_no_claim_and_nobody_wants_it_cancelled(here: Ledger) -> None:
    await here.ask_to_cancel("J", Claim(), by="me", at_unix_s=1.0)
    await here.remove_job("J", by="me", at_unix_s=2.0)
    assert (await here.claims(), await here.cancels()) == ({}, frozenset())
    assert await here.begin_next("J", after=0, voters=VOTERS, config_epoch=0) is None


async def test_a_job_used_the_results_that_count_of_the_units_that_it_asked_for(
    here: Ledger, database: Database
) -> None:
    values = {b"one", b"two", b"three"}
    for key in ("used", "another job's"):
        for value in values:
            fields = {"kind": "generated", "result": value, "node": "here", "started_unix_s": 1.0, "busy_s": 1.0}
            ref, payload = f"{key}/{result_hash(value)}", pack({**fields, "tokens": 1})
            await database.run(lambda c, ref=ref, payload=payload: merged(c, RESULTS, ref, payload))
    wanted = [(UnitKey("used"), "done"), (UnitKey("never came"), "wanted"), (UnitKey("given up"), "quarantined")]
    await here.set_job_units("J", "chunk", wanted)
    await here.set_job_units("J", "later stage", [(UnitKey("used"), "done")])
    assert await here.used("J") == [(UnitKey("used"), min(map(result_hash, values)))]
    assert await here.quarantined("J") == {UnitKey("given up")}
