"""What may go: nothing that a job without a tombstone needs, and all else once it is old."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import Sha256
from realign_daemon.housekeeping.garbage import (
    ARRIVING_S,
    AttemptFacts,
    ComputationFacts,
    FileFacts,
    Garbage,
    Inventory,
    JobFacts,
    ResultFacts,
    find_garbage,
    find_unnamed,
)
from realign_daemon.work.units import UnitKey

NOW = 1_000_000.0
NAMES = [f"{number:064x}" for number in range(8)]  # few, so that they meet

names = st.sampled_from(NAMES)
keys = names.map(UnitKey)
files = st.frozensets(names.map(Sha256), max_size=3)
times = st.floats(0.0, NOW)
jobs = st.builds(JobFacts, created_unix_s=times, ended_unix_s=st.none() | times, files=files)
results = st.builds(
    ResultFacts, key=keys, digest=names.map(Sha256), size_bytes=st.integers(0, 99), since_unix_s=times, files=files
)
attempts = st.builds(AttemptFacts, row=st.integers(0, 99), uid=st.none(), key=keys, since_unix_s=times)
computations = st.builds(ComputationFacts, key=names, size_bytes=st.integers(0, 99), used_unix_s=times)
stored = st.builds(FileFacts, name=names, size_bytes=st.integers(0, 99), since_unix_s=times)


def several(of: st.SearchStrategy[object], *by: str) -> st.SearchStrategy[tuple[object, ...]]:
    unique = st.lists(of, max_size=6, unique_by=lambda one: tuple(getattr(one, name) for name in by))
    return unique.map(tuple)


inventories = st.builds(
    Inventory,
    jobs=st.lists(jobs, max_size=4).map(tuple),
    used=st.none() | st.frozensets(keys),
    results=several(results, "key", "digest"),
    attempts=several(attempts, "row"),
    computations=several(computations, "key"),
    blobs=several(stored, "name"),
    checkpoints=several(stored, "name"),
)
lengths = st.sampled_from([0.0, 100.0, ARRIVING_S, 500_000.0, 2 * NOW])


def after(inventory: Inventory, garbage: Garbage) -> Inventory:
    return replace(
        inventory,
        results=tuple(one for one in inventory.results if one not in garbage.results),
        attempts=tuple(one for one in inventory.attempts if one not in garbage.attempts),
        computations=tuple(one for one in inventory.computations if one not in garbage.computations),
        blobs=tuple(one for one in inventory.blobs if one not in garbage.blobs),
        checkpoints=tuple(one for one in inventory.checkpoints if one not in garbage.checkpoints),
    )


@given(inventories, lengths)
def test_nothing_goes_that_a_job_without_a_tombstone_reaches(inventory: Inventory, keep_s: float) -> None:
    garbage = find_garbage(inventory, now_unix_s=NOW, keep_s=keep_s)
    reached = {name for job in inventory.jobs for name in job.files}
    reached |= {name for one in inventory.results if one not in garbage.results for name in one.files}
    assert not reached & {blob.name for blob in garbage.blobs}
    units = {one.key for one in garbage.results} | {one.key for one in garbage.attempts}
    units |= {UnitKey(one.name) for one in garbage.checkpoints}
    assert not units or (inventory.used is not None and not units & inventory.used)


@given(inventories, lengths)
def test_nothing_goes_that_came_after_an_unfinished_job_began(inventory: Inventory, keep_s: float) -> None:
    garbage = find_garbage(inventory, now_unix_s=NOW, keep_s=keep_s)
    gone = (*garbage.results, *garbage.attempts, *garbage.blobs, *garbage.checkpoints)
    began = [job.created_unix_s for job in inventory.jobs if job.ended_unix_s is None]
    assert all(one.since_unix_s < start for one in gone for start in began)
    assert all(one.used_unix_s < start for one in garbage.computations for start in began)


@given(inventories, lengths)
def test_what_a_later_job_may_use_again_stays_while_it_is_young(inventory: Inventory, keep_s: float) -> None:
    garbage = find_garbage(inventory, now_unix_s=NOW, keep_s=keep_s)
    assert all(one.since_unix_s < NOW - keep_s for one in (*garbage.results, *garbage.attempts, *garbage.blobs))
    assert all(one.used_unix_s < NOW - keep_s for one in garbage.computations)
    assert all(one.since_unix_s < NOW - ARRIVING_S for one in (*garbage.blobs, *garbage.checkpoints))


@given(inventories, lengths)
def test_a_second_sweep_finds_nothing(inventory: Inventory, keep_s: float) -> None:
    garbage = find_garbage(inventory, now_unix_s=NOW, keep_s=keep_s)
    assert find_garbage(after(inventory, garbage), now_unix_s=NOW, keep_s=keep_s) == Garbage()


@given(inventories, lengths)
def test_while_a_home_cannot_be_asked_no_result_goes(inventory: Inventory, keep_s: float) -> None:
    garbage = find_garbage(replace(inventory, used=None), now_unix_s=NOW, keep_s=keep_s)
    assert (garbage.results, garbage.attempts, garbage.checkpoints) == ((), (), ())


@given(inventories, lengths)
def test_where_there_is_no_job_all_that_is_old_goes(inventory: Inventory, keep_s: float) -> None:
    bare = replace(inventory, jobs=(), used=frozenset())
    left = after(bare, find_garbage(bare, now_unix_s=NOW, keep_s=keep_s))
    assert all(one.since_unix_s >= NOW - keep_s for one in left.results)
    kept_for = max(keep_s, ARRIVING_S)
    named = {name for one in left.results for name in one.files}
    assert all(blob.since_unix_s >= NOW - kept_for for blob in left.blobs if blob.name not in named)
    assert all(one.used_unix_s >= NOW - keep_s for one in left.computations)


@given(inventory=inventories, keep_s=lengths)
def test_what_goes_by_itself_would_go_as_garbage_and_is_named_by_no_result_that_stays(
    inventory: Inventory, keep_s: float
) -> None:
    unnamed = find_unnamed(inventory, now_unix_s=NOW, keep_s=keep_s)
    assert set(unnamed) <= set(find_garbage(inventory, now_unix_s=NOW, keep_s=keep_s).blobs)
    assert not {one.name for one in unnamed} & {name for result in inventory.results for name in result.files}
