"""The ledger's promises: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realign_daemon.engine.codec import pack
from realign_daemon.journal.kind import merged
from realign_daemon.journal.results import RESULTS, result_hash
from realign_daemon.work.database import Database
from realign_daemon.work.ledger import COUNTED_EVERY_S, Execution, Ledger, StoredJob, StoredResult
from realign_daemon.work.units import UnitKey


def result(key: str, *, value: bytes = b"v", node: str = "left") -> StoredResult:
    return StoredResult(
        key=UnitKey(key), kind="generated", result=value, node=node, started_unix_s=1.0, busy_s=0.5, tokens=7
    )


def job(name: str, token: str) -> StoredJob:
    return StoredJob(job_id=name, client_token=token, spec="{}", record="{}", created_unix_s=1.0)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


async def test_a_result_is_stored_once_and_the_first_one_stays(ledger: Ledger) -> None:
    await ledger.add_results([result("a", value=b"first")], now_unix_s=2.0, computed=True)
    await ledger.add_results([result("a", value=b"second", node="right")], now_unix_s=3.0, computed=False)
    assert await ledger.results([UnitKey("a"), UnitKey("b")]) == {UnitKey("a"): result("a", value=b"first")}


async def test_results_of_more_keys_than_one_query_takes_are_found(ledger: Ledger) -> None:
    keys = [f"k{number}" for number in range(1_201)]
    await ledger.add_results([result(key) for key in keys], now_unix_s=2.0, computed=False)
    assert len(await ledger.results([UnitKey(key) for key in keys])) == len(keys)


async def test_computing_a_unit_twice_shows(ledger: Ledger) -> None:
    await ledger.add_results([result("a"), result("b")], now_unix_s=2.0, computed=True)
    await ledger.add_results([result("a")], now_unix_s=3.0, computed=True)
    assert dict(await ledger.counts()) == {"results": 2, "repeated": 1}


async def test_only_failures_of_the_unit_itself_count_against_it(ledger: Ledger) -> None:
    await ledger.note_executions(
        [
            Execution(key=UnitKey("a"), node="left", outcome="engine_died", ended_unix_s=1.0),
            Execution(key=UnitKey("a"), node="right", outcome="out_of_memory", ended_unix_s=1.0),
            Execution(key=UnitKey("b"), node="left", outcome="done", ended_unix_s=1.0),
        ]
    )
    assert await ledger.failures([UnitKey("a"), UnitKey("b")]) == {UnitKey("a"): ["left"]}


async def test_an_attempt_that_its_home_notes_itself_counts_once(ledger: Ledger) -> None:
    attempt = Execution(key=UnitKey("a"), node="left", outcome="engine_died", ended_unix_s=1.0)
    await ledger.note_executions([attempt], shared=False)
    await ledger.note_executions([attempt])
    assert await ledger.failures([UnitKey("a")]) == {UnitKey("a"): ["left"]}


async def test_of_several_results_of_a_unit_every_node_reads_the_same(ledger: Ledger, database: Database) -> None:
    kinds = {value: result("a", value=value) for value in (b"first", b"second", b"third")}
    for one in kinds.values():
        payload = {"kind": one.kind, "result": one.result, "node": one.node, "started_unix_s": one.started_unix_s}
        payload |= {"busy_s": one.busy_s, "tokens": one.tokens}
        ref = f"a/{result_hash(one.result)}"
        await database.run(lambda c, ref=ref, payload=payload: merged(c, RESULTS, ref, pack(payload)))
    least = min(kinds, key=result_hash)
    assert await ledger.results([UnitKey("a")]) == {UnitKey("a"): kinds[least]}


async def test_the_count_of_results_is_right_within_seconds_whatever_came_or_went(
    ledger: Ledger, database: Database
) -> None:
    await ledger.add_results([result("a")], now_unix_s=2.0, computed=True)
    assert await ledger.result_count(now_s=0.0) == 1
    payload = {"kind": "generated", "result": b"r", "node": "n", "started_unix_s": 1.0, "busy_s": 1.0, "tokens": 1}
    await database.run(lambda c: merged(c, RESULTS, f"b/{result_hash(b'r')}", pack(payload)))
    assert await ledger.result_count(now_s=COUNTED_EVERY_S - 0.1) == 1
    assert await ledger.result_count(now_s=COUNTED_EVERY_S) == 2
    await database.run(lambda c: c.execute("DELETE FROM results WHERE unit_key='a'"))
    assert await ledger.result_count(now_s=2 * COUNTED_EVERY_S) == 1


async def test_what_failed_is_found_without_a_look_at_what_succeeded(ledger: Ledger, database: Database) -> None:
    queries: list[str] = []
    await database.run(lambda connection: connection.set_trace_callback(queries.append))
    await ledger.failures([UnitKey("a")])
    (query,) = (query for query in queries if "executions" in query)
    steps = await database.run(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall())
    assert [step[3] for step in steps] == ["SEARCH executions USING INDEX executions_by_uid (uid>?)"]


async def test_a_job_that_got_another_home_is_not_this_nodes_to_change(database: Database) -> None:
    here, there = Ledger(database, node_id="here"), Ledger(database, node_id="there")
    await there.add_job(job("one", "token"))
    await here.save_record("one", '{"state": "failed"}')
    await here.save_spec("one", '{"count": 1}')
    (stored,) = await here.all_jobs()
    assert (stored.home, stored.spec, stored.record) == ("there", "{}", "{}")
    assert await here.jobs() == ()
    assert await here.job_of_token("token") == stored
    assert await here.job_of_token("another") is None


async def test_whatever_others_are_to_have_is_in_the_journal_with_it(ledger: Ledger, database: Database) -> None:
    async def shown() -> list[tuple[str, str]]:
        query = "SELECT kind, ref FROM journal ORDER BY seq"
        rows = await database.run(lambda connection: connection.execute(query).fetchall())
        return [(kind, ref.partition("/")[0]) for kind, ref in rows]

    await ledger.add_job(job("one", "token"))
    await ledger.add_results([result("a")], now_unix_s=2.0, computed=True)
    await ledger.add_results([result("a", node="right")], now_unix_s=3.0, computed=False)
    assert await shown() == [("job", "one"), ("record", "one"), ("result", "a")]
    await ledger.save_record("one", '{"state": "running"}')
    await ledger.save_spec("one", '{"count": 1}')
    assert await shown() == [("result", "a"), ("record", "one"), ("job", "one")]


async def test_forgiving_a_failure_is_news(ledger: Ledger, database: Database) -> None:
    await ledger.add_job(job("one", "token"))
    await ledger.set_job_units("one", "chunk", [(UnitKey("a"), "quarantined")])
    failed = Execution(key=UnitKey("a"), node="left", outcome="bad_unit", ended_unix_s=1.0)
    await ledger.note_executions([failed])
    query = "SELECT seq FROM journal WHERE kind='failure'"
    before = await database.run(lambda connection: connection.execute(query).fetchall())
    await ledger.forgive("one", ["chunk"])
    assert await database.run(lambda connection: connection.execute(query).fetchall()) > before
    assert await ledger.failures([UnitKey("a")]) == {}


async def test_a_submit_with_the_same_token_gives_the_same_job(ledger: Ledger) -> None:
    first = await ledger.add_job(job("one", "token"))
    assert await ledger.add_job(job("two", "token")) == first
    assert await ledger.jobs() == (first,)


async def test_what_was_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    database = Database(path)
    await database.open()
    await Ledger(database).add_job(job("one", "token"))
    await database.close()
    again = Database(path)
    await again.open()
    assert [stored.job_id for stored in await Ledger(again).jobs()] == ["one"]
    await again.close()


async def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "ledger.sqlite")
    await database.open()

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO computations VALUES ('k', x'00', 0)")
        message = "disk trouble"
        raise OSError(message)

    with pytest.raises(OSError, match="disk trouble"):
        await database.run(fail)
    assert await Ledger(database).computation("k", now_unix_s=1.0) is None
    await database.close()
