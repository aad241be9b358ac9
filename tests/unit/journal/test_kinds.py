"""Kinds: nodes that have heard the same hold the same, in whatever order and however often they heard it."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.decision.value import Ended, Rehomed, value_to_bytes
from realign_daemon.engine.api import Sha256, Trained
from realign_daemon.engine.codec import encode, pack
from realign_daemon.journal import entries
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.facts import asked
from realign_daemon.journal.jobs import INTENTS, JOBS, RECORDS, TOMBSTONES, cancelling
from realign_daemon.journal.kind import Kind, merged
from realign_daemon.journal.kinds import KINDS
from realign_daemon.journal.results import FAILURES, RESULTS, result_hash
from realign_daemon.work.schema import prepare

Thing = tuple[Ref, bytes]
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
NODES = ("left", "right")
FILE = "a" * 64
INTENT = cancelling("J", 0, 0)
# Everything that others see of a node; row ids and positions are its own affair.
SHARED = {
    "jobs": "*",
    "records": "*",
    "results": "*",
    "executions": "uid, unit_key, node, outcome, message, ended_unix_s",
    "shared_facts": "*",
    "decisions": "*",
    "journal": "kind, ref, digest",
}


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    prepare(connection, Path("memory"))
    return connection


def tables(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    return {name: sorted(connection.execute(f"SELECT {columns} FROM {name}")) for name, columns in SHARED.items()}


def thing(kind: str, ref: str, /, **fields: object) -> Thing:
    return Ref(kind=kind, ref=ref), pack(fields)


def job(ref: str = "J", **changes: object) -> Thing:
    fields: dict[str, object] = {"client_token": ref, "spec": "{}", "created_unix_s": 1.0, "owner": "", "blobs": "[]"}
    fields |= {"home": "left", "voters": "[]", "config_epoch": 0, "instance": 0, "revision": 0}
    return thing("job", ref, **(fields | changes))


def result(key: str = "k", value: bytes = b"v", **changes: object) -> Thing:
    fields: dict[str, object] = {"kind": "generated", "result": value, "node": "left", "started_unix_s": 1.0}
    fields |= {"busy_s": 0.5, "tokens": 7}
    return thing("result", f"{key}/{result_hash(value)}", **(fields | changes))


def failure(ref: str = "i/1", **changes: object) -> Thing:
    fields: dict[str, object] = {"key": "k", "node": "left", "outcome": "bad_unit", "message": "", "ended_unix_s": 1.0}
    return thing("failure", ref, **(fields | changes))


def decision(ref: str) -> Thing:
    ended = Ended(state="completed", manifest=Sha256(FILE))
    return thing("decision", ref, config_epoch=0, value=value_to_bytes(ended))


def every_thing() -> Iterator[Thing]:
    """Each of a few names in all versions that could meet, those of broken nodes included."""
    for key, value, node, began in itertools.product("ab", (b"1", b"2"), NODES, (1.0, 2.0)):
        yield result(key, value, node=node, started_unix_s=began)
    for ref, outcome in itertools.product(("i/1", "i/2"), ("engine_died", "forgiven")):
        yield failure(ref, outcome=outcome)
    for name, epoch, instance, number, home in itertools.product("JK", (0, 1), (0, 1), (0, 1), NODES):
        numbers = {"config_epoch": epoch, "instance": instance}
        yield job(name, **numbers, revision=number, home=home, spec=f'"{home}"')
        yield thing("record", name, **numbers, version=number, record=f'"{home}"')
    yield from decisions("D")
    for (kind, ref), by, at in itertools.product(
        (("intent", "J/cancel/0/0"), ("tombstone", "J"), ("tombstone", "D")), NODES, (1.0, 2)
    ):
        yield Ref(kind=kind, ref=ref), asked(by, at)


def decisions(job_id: str) -> Iterator[Thing]:
    for number in (0, 1):
        yield decision(f"{job_id}/{number}")
        rehomed = Rehomed(home="left", voters=("left",))
        yield thing("decision", f"{job_id}/{number}", config_epoch=1, value=value_to_bytes(rehomed))


EVERY_THING = tuple(every_thing())
# Decisions that move a row, whichever of its revisions is there by then: only the journal makes those equal again.
WITH_MOVES = (*EVERY_THING, *decisions("J"))
ROUNDS = 4  # of meetings until all hold the same: three nodes, and a row that moves when it comes


@given(things=st.lists(st.sampled_from(EVERY_THING), max_size=14), data=st.data())
def test_three_nodes_that_heard_the_same_in_any_order_and_repeatedly_hold_the_same(
    things: list[Thing], data: st.DataObject
) -> None:
    orders = [data.draw(st.permutations(things + things[:number])) for number in (0, 3, 9)]
    held: list[dict[str, list[Any]]] = []
    for order in orders:
        with closing(database()) as connection:
            for ref, payload in order:
                merged(connection, BY_NAME[ref.kind], ref.ref, payload)
            held.append(tables(connection))
    assert held[0] == held[1] == held[2]


def pulled(into: sqlite3.Connection, source: sqlite3.Connection) -> None:
    """One node takes in the journal of another, as the replicator does."""
    announced = entries.headers(source, after=0, limit=10_000)
    for ref in entries.missing(into, announced):
        payload = BY_NAME[ref.kind].load(source, ref.ref)
        assert payload is not None, "what is in the journal is in the tables"
        merged(into, BY_NAME[ref.kind], ref.ref, payload)


@given(
    first=st.tuples(*[st.lists(st.sampled_from(WITH_MOVES), max_size=8)] * 3),
    meetings=st.lists(st.permutations(range(3)), max_size=6),
)
def test_what_three_nodes_tell_each_other_by_headers_ends_with_all_holding_the_same(
    first: tuple[Sequence[Thing], ...], meetings: list[list[int]]
) -> None:
    nodes = [database() for _ in first]
    for node, things in zip(nodes, first, strict=True):
        for ref, payload in things:
            merged(node, BY_NAME[ref.kind], ref.ref, payload)
    for into, source, _ in meetings:
        pulled(nodes[into], nodes[source])
    for _ in range(ROUNDS):
        for into, source in itertools.permutations(range(3), 2):
            pulled(nodes[into], nodes[source])
    held = [tables(node) for node in nodes]
    for into, source in itertools.permutations(nodes, 2):
        assert entries.missing(into, entries.headers(source, after=0, limit=10_000)) == ()
    for node in nodes:
        node.close()
    assert held[0] == held[1] == held[2]


@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        (job(config_epoch=0, instance=9, revision=9), job(config_epoch=1, home="right")),
        (job(instance=0, revision=9), job(instance=1, home="right")),
        (job(revision=1), job(revision=2, spec='{"count": 2}')),
    ],
    ids=["config epoch", "instance", "revision"],
)
def test_the_higher_job_wins_and_brings_its_home_with_it(loser: Thing, winner: Thing) -> None:
    for order in ((loser, winner), (winner, loser)):
        with closing(database()) as connection:
            for ref, payload in order:
                merged(connection, JOBS, ref.ref, payload)
            assert JOBS.load(connection, "J") == winner[1]


def test_nothing_of_a_removed_job_comes_back(tmp_path: Path) -> None:
    with closing(database()) as connection:
        connection.execute("INSERT INTO job_units VALUES ('J', 'chunk', 'k', 'wanted')")
        merged(connection, JOBS, "J", job()[1])
        merged(connection, TOMBSTONES, "J", asked("owner", 1.0))
        record = thing("record", "J", record="{}", config_epoch=0, instance=0, version=5)
        for ref, payload in (job(instance=7), record, (INTENT, asked("owner", 2.0)), decision("J/3")):
            assert not merged(connection, BY_NAME[ref.kind], ref.ref, payload)
        left = tables(connection)
        assert (left["jobs"], left["records"]) == ([], [])
        assert [row[:2] for row in left["journal"]] == [("tombstone", "J")]
        assert connection.execute("SELECT COUNT(*) FROM job_units").fetchone() == (0,)


def test_a_removal_takes_votes_decisions_and_what_was_asked_with_it_and_leaves_those_of_other_jobs() -> None:
    with closing(database()) as connection:
        kept = [("decision", "J0/0"), ("decision", "j/0"), ("intent", "J0/cancel/0/0"), ("intent", "J_/cancel/0/1")]
        for job_id in ("J", "J0"):
            connection.execute("INSERT INTO ballots VALUES (?, 0, 0, 1, 'left', NULL, NULL, NULL, NULL)", (job_id,))
        for kind, ref in (
            *kept,
            ("decision", "J/0"),
            ("decision", "J/1"),
            ("intent", "J/cancel/0/0"),
            ("intent", "J/cancel/3/12"),
        ):
            payload = decision(ref)[1] if kind == "decision" else asked("owner", 1.0)
            merged(connection, BY_NAME[kind], ref, payload)
        merged(connection, TOMBSTONES, "J", asked("owner", 2.0))
        left = tables(connection)
        assert [row[:2] for row in left["journal"]] == [*kept, ("tombstone", "J")]
        assert [row[0] for row in left["decisions"]] == ["J0", "j"]
        assert [row[:2] for row in left["shared_facts"]] == [*kept[2:], ("tombstone", "J")]
        assert connection.execute("SELECT job_id FROM ballots").fetchall() == [("J0",)]


def test_two_different_results_of_one_unit_are_both_kept() -> None:
    with closing(database()) as connection:
        for ref, payload in (result(value=b"1"), result(value=b"2")):
            assert merged(connection, RESULTS, ref.ref, payload)
        assert connection.execute("SELECT COUNT(*) FROM results").fetchone() == (2,)


@pytest.mark.parametrize("name", ["", "../key", "F" * 64])
def test_a_result_that_names_no_content_is_none(name: str) -> None:
    adapter = Trained(adapter=Sha256(name), steps=1, points=(), step_losses=(), trained_tokens=1)
    with pytest.raises(ValueError, match="names no content"):
        RESULTS.blobs(result(value=encode(adapter), kind="trained")[1])


def test_the_files_of_a_thing_are_named() -> None:
    adapter = Trained(adapter=Sha256(FILE), steps=1, points=(), step_losses=(), trained_tokens=1)
    assert RESULTS.blobs(result(value=encode(adapter), kind="trained")[1]) == (FILE,)
    assert RESULTS.blobs(result()[1]) == ()
    assert JOBS.blobs(job(blobs=f'["{FILE}"]')[1]) == (FILE,)


@pytest.mark.parametrize(
    ("kind", "ref", "payload"),
    [
        (RESULTS, f"k/{hashlib.sha256(b'other').hexdigest()}", result()[1]),
        (RESULTS, "k", result()[1]),
        (FAILURES, "i/1", b""),
        (FAILURES, "i/1", b"\xc1"),
        (FAILURES, "i/1", pack([1, 2])),
        (FAILURES, "i/1", failure(key=None)[1]),
        (JOBS, "J", job(home="")[1]),
        (JOBS, "J", job(instance=True)[1]),
        (JOBS, "J", job(blobs='["../../etc/passwd"]')[1]),
        (JOBS, "J", job(blobs="{}")[1]),
        (JOBS, "J", job(blobs="[" * 100_000)[1]),
        (RECORDS, "J", thing("record", "J", record="{}", config_epoch=0, instance=0)[1]),
        (TOMBSTONES, "J", pack({"by": "owner"})),
        *(
            (INTENTS, ref, asked("owner", 1.0))
            for ref in ("J", "J/cancel", "J/cancel/0", "J/pause/0/0", "J/cancel/0/00", "J/0/0")
        ),
        (BY_NAME["decision"], "J/0", thing("decision", "J/0", config_epoch=0, value=b"{}")[1]),
        (BY_NAME["decision"], "J/00", decision("J/00")[1]),
    ],
)
def test_what_is_no_thing_of_its_kind_is_refused(kind: Kind, ref: str, payload: bytes) -> None:
    with closing(database()) as connection, pytest.raises(ValueError):
        merged(connection, kind, ref, payload)


def test_a_field_that_a_newer_version_added_is_passed_over() -> None:
    with closing(database()) as connection:
        assert merged(connection, FAILURES, "i/1", failure(mood="good")[1])
        assert FAILURES.load(connection, "i/1") == failure()[1]
