"""Replication between real nodes on loopback: all hold the same, whoever comes late, dies, or sends nonsense."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.journal.peers import PLENTY_BYTES, Network, Peer, alike, job, peers

from realign_daemon.decision.amnesia import is_amnesiac
from realign_daemon.decision.ballot import Ballot
from realign_daemon.decision.claim import Claim
from realign_daemon.decision.messages import Prepare, Promised, Refused
from realign_daemon.decision.store import DecisionStore
from realign_daemon.engine.api import Sha256, Trained
from realign_daemon.engine.codec import encode
from realign_daemon.journal import files, replicator
from realign_daemon.journal.decisions import noted_decision
from realign_daemon.journal.entries import Position, Ref
from realign_daemon.journal.facts import asked
from realign_daemon.journal.journal import HEADERS_A_BATCH, Batch, Item, Journal
from realign_daemon.work.ledger import Execution
from realign_daemon.work.units import UnitKey

CATCH_UP = 5_000


def trained(adapter: Sha256) -> bytes:
    return encode(Trained(adapter=adapter, steps=1, points=(), step_losses=(), trained_tokens=1))


async def test_what_one_node_writes_the_others_hold_soon(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b", "c") as (a, b, c):
        await a.ledger.add_job(job("J", owner="key"))
        await a.ledger.save_record("J", '{"state": "running"}')
        await b.add("k1", "k2")
        await c.ledger.note_executions(
            [Execution(key=UnitKey("k3"), node="a", outcome="bad_unit", message="no", ended_unix_s=1.0)]
        )
        for node in (a, b, c):
            await node.until(lambda node=node: _has_everything(node))
            (held,) = await node.ledger.all_jobs()
            assert (held.home, held.owner, held.record) == ("a", "key", '{"state": "running"}')
        assert await b.ledger.jobs() == ()


async def _has_everything(node: Peer) -> bool:
    found = await node.ledger.results([UnitKey("k1"), UnitKey("k2")])
    jobs = await node.ledger.all_jobs()
    failed = await node.ledger.failures([UnitKey("k3")])
    return len(found) == 2 and [one.record for one in jobs] == ['{"state": "running"}'] and bool(failed)


async def test_a_node_that_comes_late_catches_up_by_whole_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, batches = Network(), list[Batch]()
    advance = Journal.advance

    async def counted(self: Journal, node: str, start: Position, batch: Batch, items: Sequence[Item]) -> Position:
        batches.extend([batch] if node == "a" else [])
        return await advance(self, node, start, batch, items)

    monkeypatch.setattr(Journal, "advance", counted)
    async with Peer("a", tmp_path / "a", network) as a:
        await a.add(*(f"k{number}" for number in range(CATCH_UP)), value=b"v" * 2_000)
        async with Peer("b", tmp_path / "b", network) as b:
            await alike(b, a)
    assert len(batches) <= CATCH_UP / HEADERS_A_BATCH + 1


async def test_a_node_whose_ledger_was_lost_gets_everything_back(tmp_path: Path) -> None:
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        async with Peer("b", tmp_path / "b", network) as b:
            await b.add("from-b")
            await a.add("from-a")
            await alike(b, a)
            await alike(a, b)
        for file in (tmp_path / "b").glob("ledger.sqlite*"):
            file.unlink()
        async with Peer("b", tmp_path / "b", network) as b:
            await alike(b, a)
            assert set(await b.ledger.results([UnitKey("from-a"), UnitKey("from-b")])) == {"from-a", "from-b"}
            await b.add("new")  # at a position that the first ledger of b had given out, too
            await alike(a, b)


async def test_a_follower_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        await a.add(*(f"k{number}" for number in range(2_500)))
        killed = Peer("b", tmp_path / "b", network)
        async with killed:
            await killed.until(lambda: _position(killed))
        async with Peer("b", tmp_path / "b", network) as b:
            assert (await b.journal.position("a")).seq >= 1_000
            await alike(b, a)


async def _position(node: Peer) -> bool:
    return (await node.journal.position("a")).seq > 0


async def test_a_file_is_there_before_the_thing_that_names_it(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b") as (a, b):
        adapter, source = a.blobs.put_bytes(b"an adapter" * 300_000), a.blobs.put_bytes(b"a source")
        await a.add("k", value=trained(adapter), kind="trained")
        await a.ledger.add_job(job("J", blobs=(source,)))

        async def seen() -> bool:
            held = {ref.kind for ref in await b.held()}
            assert ("result" not in held) or b.blobs.has(adapter)
            assert ("job" not in held) or b.blobs.has(source)
            return {"result", "job"} <= held

        await b.until(seen)
        assert b.blobs.read(adapter) == b"an adapter" * 300_000


async def test_a_file_that_is_here_already_counts_as_new_once_a_thing_names_it(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b") as (a, b):
        source = a.blobs.put_bytes(b"a source")
        long_ago_s = 1e9
        os.utime(b.blobs.path(b.blobs.put_bytes(b"a source")), (long_ago_s, long_ago_s))
        await a.ledger.add_job(job("J", blobs=(source,)))
        await alike(b, a)

        assert b.blobs.path(source).stat().st_mtime > long_ago_s


async def test_a_file_on_its_way_holds_up_nothing_that_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGE_BYTES", 1_000)
    monkeypatch.setattr(files, "LARGE_WAIT_S", 60.0)  # for a third node, which never comes
    async with peers(tmp_path, "a", "b") as (a, b):
        model = a.blobs.put_bytes(b"m" * 2_000)
        await a.add("large", value=trained(model), kind="trained")
        await a.add("small")
        await a.journal.put(Ref(kind="tombstone", ref="J"), asked("somebody", 1.0))
        await b.until(lambda: _holds(b, "small"))
        await a.add("later")
        await b.until(lambda: _holds(b, "later"))
        assert Ref(kind="tombstone", ref="J") in await b.held()
        assert not await _holds(b, "large")


async def test_a_thing_whose_file_nobody_has_any_more_is_held_all_the_same(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b") as (a, b):
        await a.ledger.add_job(job("J", blobs=("0" * 64,)))
        await alike(b, a)


async def test_a_thing_with_a_damaged_file_is_left_out_and_the_rest_comes(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b") as (a, b):
        source = a.blobs.put_bytes(b"a source")
        a.blobs.path(source).write_bytes(b"rotten")
        await a.ledger.add_job(job("J", blobs=(source,)))
        await a.add("later")
        await b.until(lambda: _holds(b, "later"))
        assert await b.ledger.all_jobs() == ()
        assert not b.blobs.has(source)


async def _holds(node: Peer, key: str) -> bool:
    return bool(await node.ledger.results([UnitKey(key)]))


async def test_a_damaged_thing_is_left_out_and_the_rest_comes(tmp_path: Path) -> None:
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        await a.add("rotten", "sound")
        await a.database.run(  # a bit that fell over on the disk
            lambda c: c.execute("UPDATE results SET result=x'00' WHERE unit_key='rotten'") and None
        )
        async with Peer("b", tmp_path / "b", network) as b:
            await b.until(lambda: _holds(b, "sound"))
            assert not await _holds(b, "rotten")


async def test_what_is_on_two_disks_is_known_and_what_is_not_is_counted(tmp_path: Path) -> None:
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        await a.ledger.add_job(job("J"))
        assert await a.replicator.copies(Ref(kind="job", ref="J"), within_s=0.1) == 1
        async with Peer("b", tmp_path / "b", network) as b:
            assert await a.replicator.copies(Ref(kind="job", ref="J"), within_s=10.0) == 2
            await a.add("k")
            await alike(b, a)
            await a.until(lambda: _none_alone(a))
        assert await a.journal.alone(frozenset({"c"})) == 1


async def _none_alone(node: Peer) -> bool:
    return await node.journal.alone(frozenset({"b"})) == 0


async def test_an_older_version_elsewhere_is_no_copy(tmp_path: Path) -> None:
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        async with Peer("b", tmp_path / "b", network):
            await a.ledger.add_job(job("J"))
            assert await a.replicator.copies(Ref(kind="record", ref="J"), within_s=10.0) == 2
        await a.ledger.save_record("J", '{"state": "running"}')
        holders = await a.database.run(
            lambda c: c.execute("SELECT COUNT(*) FROM copies JOIN journal USING (seq) WHERE kind='record'").fetchone()
        )
        assert holders == (0,)


async def test_a_node_without_room_takes_in_all_that_is_small_and_the_rest_when_there_is_some(tmp_path: Path) -> None:
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a:
        source = a.blobs.put_bytes(b"a source")
        await a.add("large")
        await a.ledger.add_job(job("with-a-file", blobs=(source,)))
        b = Peer("b", tmp_path / "b", network)
        b.room_bytes = 0
        async with b:
            await a.ledger.add_job(job("J"))  # behind what has to wait
            assert await a.replicator.copies(Ref(kind="job", ref="J"), within_s=10.0) == 2
            assert b.replicator.lacks_room
            assert not await _holds(b, "large")
            assert await b.ledger.job("with-a-file") is None
            assert (await b.journal.position("a")).seq == 0
            b.room_bytes = PLENTY_BYTES
            await alike(a, b)
            assert b.blobs.has(source)
            assert not b.replicator.lacks_room


async def test_a_node_without_room_hears_that_a_job_was_adopted_whose_files_it_has(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b") as (a, b):
        source = a.blobs.put_bytes(b"a source")
        await a.ledger.add_job(job("J", blobs=(source,)))
        await alike(a, b)
        b.room_bytes = 0
        await a.add("large")
        adopted = await a.ledger.begin_next("J", after=0, voters=("a",), config_epoch=1)
        await b.until(lambda: _is_claimed(b, adopted))
        assert not await _holds(b, "large")


async def _is_claimed(node: Peer, claim: Claim | None) -> bool:
    return (await node.ledger.claims())["J"] == claim


async def test_a_file_that_does_not_fit_keeps_its_thing_out_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "LEFT_OUT_S", 0.2)
    monkeypatch.setattr(replicator, "LOOK_AT_CLOCK_S", 0.05)
    async with peers(tmp_path, "a", "b") as (a, b):
        b.room_bytes = 1_000
        source = a.blobs.put_bytes(b"s" * 2_000)
        await a.ledger.add_job(job("J", blobs=(source,)))
        await a.add("k")
        await b.until(lambda: _holds(b, "k"))
        assert await b.ledger.all_jobs() == ()
        assert not b.blobs.has(source)
        b.room_bytes = 2**40
        await alike(a, b)
        assert b.blobs.has(source)


async def test_a_large_file_is_kept_by_two_nodes_and_not_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGE_BYTES", 1_000)
    monkeypatch.setattr(files, "LARGE_WAIT_S", 0.3)
    network = Network()
    async with Peer("a", tmp_path / "a", network) as a, Peer("b", tmp_path / "b", network) as b:
        model = a.blobs.put_bytes(b"m" * 2_000)
        await a.add("k", value=trained(model), kind="trained")
        await alike(b, a)
        assert b.blobs.has(model)
        async with Peer("c", tmp_path / "c", network) as c:
            await a.add("later")
            await c.until(lambda: _holds(c, "later"))
            assert not c.blobs.has(model)
            assert not await _holds(c, "k")


async def test_what_two_nodes_hold_is_compared_and_what_is_missing_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "COMPARE_EVERY_S", 0.2)
    monkeypatch.setattr(replicator, "LOOK_AT_CLOCK_S", 0.05)
    async with peers(tmp_path, "a", "b") as (a, b):
        await a.add("k")
        await alike(a, b)
        await b.database.run(  # lost without a trace
            lambda c: [c.execute(f"DELETE FROM {table}") for table in ("results", "journal")] and None
        )
        await alike(a, b)
        assert await _holds(b, "k")


async def test_a_ledger_that_was_put_back_from_a_backup_counts_as_a_new_one_once_others_are_heard(
    tmp_path: Path,
) -> None:
    network = Network()
    async with Peer("b", tmp_path / "b", network) as b:
        async with Peer("a", tmp_path / "a", network) as a:
            await a.add("k1")
            await a.ledger.add_job(job("J"))
            ballot = Prepare(job_id="J", instance=0, ballot=Ballot(epoch=1, node="b"))
            assert isinstance(await store_of(a).answer(ballot), Promised)
            await alike(a, b)
        backup = (tmp_path / "a" / "ledger.sqlite").read_bytes()  # closed, so that its log is in it
        async with Peer("a", tmp_path / "a", network) as a:
            await a.add("k2")
            await alike(a, b)
            taken_in = await b.journal.position("a")
        (tmp_path / "a" / "ledger.sqlite").write_bytes(backup)
        async with Peer("a", tmp_path / "a", network) as a:
            assert not await a.database.run(is_amnesiac)
            await b.until(lambda: _is_followed_anew(b, taken_in))
            await alike(a, b)
            assert await _holds(a, "k2")
            assert await a.database.run(is_amnesiac)
            assert isinstance(await store_of(a).answer(replace(ballot, ballot=Ballot(epoch=2, node="b"))), Refused)
            found = await b.journal.position("a")
            assert await a.journal.after(found) == Batch(headers=(), end=found, last=found.seq)  # it happens once


async def _is_followed_anew(peer: Peer, before: Position) -> bool:
    return (await peer.journal.position("a")).index_id != before.index_id


def store_of(peer: Peer) -> DecisionStore:
    return DecisionStore(peer.database, noted=noted_decision)


async def test_nodes_of_other_versions_pass_over_what_they_do_not_know(tmp_path: Path) -> None:
    async with peers(tmp_path, "a", "b") as (a, b):
        await a.database.run(
            lambda c: c.execute("INSERT INTO journal (kind, ref, digest) VALUES ('mood', 'good', x'00')") and None
        )
        await a.add("k")
        await b.until(lambda: _holds(b, "k"))
        assert await a.journal.load([Ref(kind="mood", ref="good")]) == ()


async def test_malformed_things_are_left_out_one_by_one(tmp_path: Path) -> None:
    async with peers(tmp_path, "a") as (a,):
        await a.ledger.add_job(job("J"))
        sound = (await a.journal.load([Ref(kind="job", ref="J")]))[0]
        broken = [
            Item(ref=Ref(kind="job", ref="K"), payload=b"\xc1"),
            Item(ref=Ref(kind="record", ref="K"), payload=b"\x80"),
            Item(ref=Ref(kind="result", ref="k/0"), payload=sound.payload),
        ]
        await a.journal.take_in("b", [broken[0], Item(ref=Ref(kind="job", ref="L"), payload=sound.payload), *broken])
        assert [one.job_id for one in await a.ledger.all_jobs()] == ["J", "L"]
