"""Staging: what clients send before a job names it: in pieces, over restarts, apart from each other, for a week."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, DamagedBlob, Full
from realign_daemon.files.staging import FREE_BYTES, KEPT_S, SWEEP_S, Held, Piece, Staging
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.work.blobs import BlobStore

CONTENT = bytes(range(100))
NAME = Sha256(hashlib.sha256(CONTENT).hexdigest())
WHOLE = Held(bytes_here=100, is_whole=True)


def staging(folder: Path, clock: ManualClock | None = None, *, client_bytes: int = 1000) -> Staging:
    return Staging(
        BlobStore(folder), clock=clock or ManualClock(), client_bytes=client_bytes, source_bytes=client_bytes
    )


def piece(start: int, end: int, content: bytes = CONTENT, name: Sha256 = NAME) -> Piece:
    return Piece(sha256=name, size_bytes=len(content), offset=start, data=content[start:end])


def only_file(folder: Path) -> Path:
    (found,) = (path for path in folder.rglob("*") if path.is_file())
    return found


def inodes(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def files(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_content_in_pieces_is_handed_over_once_it_is_whole(tmp_path: Path) -> None:
    store = staging(tmp_path)
    assert store.held("ann", NAME) == Held(bytes_here=0, is_whole=False)
    assert await store.take("ann", piece(0, 60)) == Held(bytes_here=60, is_whole=False)
    assert await store.take("ann", piece(60, 100)) == WHOLE
    assert store.held("bob", NAME) == Held(bytes_here=0, is_whole=False)
    await store.hand_over("ann", [NAME])
    assert BlobStore(tmp_path).read(NAME) == CONTENT
    assert store.held("bob", NAME) == WHOLE
    await store.release("ann", [NAME])
    assert files(tmp_path) == [CONTENT]
    assert store.held("ann", NAME) == WHOLE


async def test_what_no_job_came_to_name_counts_as_before_and_takes_its_room_once(tmp_path: Path) -> None:
    store = staging(tmp_path, client_bytes=150)
    await store.take("ann", piece(0, 100))
    for _ in range(2):  # the submit was refused both times
        await store.hand_over("ann", [NAME])
    assert len(inodes(tmp_path)) == 1
    with pytest.raises(Full, match="you have 100 bytes in 1 files here"):
        await store.take("ann", piece(0, 1, b"y" * 100, Sha256("a" * 64)))
    BlobStore(tmp_path).path(NAME).unlink()  # a sweep of what nothing names
    assert store.held("ann", NAME) == WHOLE
    await store.hand_over("ann", [NAME])
    await store.release("ann", [NAME])
    assert BlobStore(tmp_path).read(NAME) == CONTENT
    await store.take("ann", piece(0, 1, b"y" * 100, Sha256("a" * 64)))


async def test_an_upload_goes_on_after_a_restart_where_it_stopped(tmp_path: Path) -> None:
    await staging(tmp_path).take("ann", piece(0, 60))
    again = staging(tmp_path)
    assert again.held("ann", NAME).bytes_here == 60
    assert await again.take("ann", piece(60, 100)) == WHOLE
    await staging(tmp_path).hand_over("ann", [NAME])
    assert BlobStore(tmp_path).has(NAME)


async def test_what_was_whole_but_not_looked_at_when_the_daemon_ended_is_looked_at_with_an_empty_piece(
    tmp_path: Path,
) -> None:
    await staging(tmp_path).take("ann", piece(0, 99))
    part = only_file(tmp_path)
    part.write_bytes(CONTENT)
    again = staging(tmp_path)
    assert again.held("ann", NAME) == Held(bytes_here=100, is_whole=False)
    assert await again.take("ann", piece(100, 100)) == WHOLE


async def test_bytes_that_are_here_are_passed_over_and_a_gap_is_refused_with_where_to_go_on(tmp_path: Path) -> None:
    store = staging(tmp_path)
    await store.take("ann", piece(0, 60))
    assert (await store.take("ann", piece(0, 30))).bytes_here == 60
    assert (await store.take("ann", piece(50, 70))).bytes_here == 70
    with pytest.raises(BadInput, match="go on at 70"):
        await store.take("ann", piece(71, 100))
    assert await store.take("ann", piece(70, 100)) == WHOLE
    assert await store.take("ann", piece(0, 60)) == WHOLE


async def test_nobody_can_spoil_what_another_sends_under_the_same_hash(tmp_path: Path) -> None:
    store = staging(tmp_path)
    await store.take("mallory", piece(0, 60, b"x" * 100))
    await store.take("ann", piece(0, 60))
    with pytest.raises(DamagedBlob):
        await store.take("mallory", piece(60, 100, b"x" * 100))
    assert store.held("mallory", NAME).bytes_here == 0
    assert await store.take("ann", piece(60, 100)) == WHOLE
    await store.hand_over("mallory", [NAME])
    assert not BlobStore(tmp_path).has(NAME)


async def test_what_two_clients_sent_is_kept_once_and_counted_for_neither(tmp_path: Path) -> None:
    store = staging(tmp_path, client_bytes=150)
    for client in ("ann", "bob"):
        await store.take(client, piece(0, 100))
    for client in ("ann", "bob"):
        await store.hand_over(client, [NAME])
        await store.release(client, [NAME])
    assert files(tmp_path) == [CONTENT]
    other = b"y" * 100
    for client in ("ann", "bob"):
        assert not (await store.take(client, piece(0, 60, other, Sha256("a" * 64)))).is_whole


async def test_two_streams_of_one_client_send_the_same_content_at_once(tmp_path: Path) -> None:
    store = staging(tmp_path)

    async def send() -> Held:
        for start in range(0, 90, 10):
            await store.take("ann", piece(start, start + 10))
            await asyncio.sleep(0)
        return await store.take("ann", piece(90, 100))

    assert await asyncio.gather(send(), send()) == [WHOLE, WHOLE]
    for step in (store.hand_over, store.release):
        await asyncio.gather(step("ann", [NAME]), step("ann", [NAME]))
    assert files(tmp_path) == [CONTENT]


@pytest.mark.parametrize(
    "wrong",
    [
        Piece(sha256=NAME, size_bytes=0, offset=0, data=b""),
        Piece(sha256=NAME, size_bytes=100, offset=95, data=b"123456"),
        Piece(sha256=NAME, size_bytes=2**64 - 1, offset=2**64 - 1, data=b"1"),
        Piece(sha256=NAME, size_bytes=2**22, offset=0, data=b"1" * (2**20 + 1)),
        Piece(sha256=Sha256("../../x"), size_bytes=100, offset=0, data=b"1"),
        Piece(sha256=Sha256("A" * 64), size_bytes=100, offset=0, data=b"1"),
        Piece(sha256=Sha256(""), size_bytes=100, offset=0, data=b"1"),
    ],
)
async def test_a_piece_that_belongs_to_no_content_is_refused(tmp_path: Path, wrong: Piece) -> None:
    with pytest.raises(BadInput):
        await staging(tmp_path, client_bytes=2**70).take("ann", wrong)
    assert files(tmp_path) == []


async def test_a_client_has_no_more_waiting_than_it_may_and_is_told_before_the_first_byte(tmp_path: Path) -> None:
    store = staging(tmp_path, client_bytes=150)
    other = b"y" * 100
    other_name = Sha256(hashlib.sha256(other).hexdigest())
    await store.take("ann", piece(0, 60))
    with pytest.raises(Full, match="you have 60 bytes in 1 files here"):
        await store.take("ann", piece(0, 1, other, other_name))
    await store.take("bob", piece(0, 1, other, other_name))
    await store.take("ann", piece(60, 100))
    await store.hand_over("ann", [NAME])
    await store.release("ann", [NAME])
    assert (await store.take("ann", piece(0, 100, other, other_name))).is_whole
    with pytest.raises(Full, match="larger than the 150"):
        await store.take("bob", piece(0, 1, b"z" * 151))


async def test_a_restarted_daemon_counts_what_a_client_has_waiting(tmp_path: Path) -> None:
    await staging(tmp_path, client_bytes=150).take("ann", piece(0, 60))
    with pytest.raises(Full, match="you have 60 bytes"):
        await staging(tmp_path, client_bytes=150).take("ann", piece(0, 1, b"y" * 100, Sha256("a" * 64)))


async def test_what_nobody_comes_back_for_is_removed_after_a_week(tmp_path: Path) -> None:
    clock = ManualClock()
    store = staging(tmp_path, clock, client_bytes=150)
    await store.take("ann", piece(0, 60))
    part = only_file(tmp_path)
    os.utime(part, (clock.unix(), clock.unix()))
    running = asyncio.create_task(store.run())
    await clock.run_for(KEPT_S)
    assert part.exists()
    await clock.run_for(SWEEP_S)
    running.cancel()
    assert files(tmp_path) == []
    assert (await store.take("bob", piece(0, 100, b"y" * 100, Sha256(hashlib.sha256(b"y" * 100).hexdigest())))).is_whole
    assert await store.take("ann", piece(0, 100)) == WHOLE


async def test_a_full_disk_is_said_and_the_upload_goes_on_when_there_is_room(tmp_path: Path) -> None:
    free_bytes = FREE_BYTES + 100
    store = Staging(
        BlobStore(tmp_path), clock=ManualClock(), client_bytes=1000, source_bytes=1000, free_bytes=lambda _: free_bytes
    )
    await store.take("ann", piece(0, 60))
    free_bytes = FREE_BYTES + 39
    with pytest.raises(Full, match="no room for 40 bytes"):
        await store.take("ann", piece(60, 100))
    free_bytes += 1
    assert await store.take("ann", piece(60, 100)) == WHOLE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=30))
def test_whatever_pieces_come_in_whatever_order_only_the_content_ever_becomes_whole(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("pieces")

    async def run() -> None:
        store = staging(folder)
        for start, end in cuts:
            try:
                held = await store.take("ann", piece(start, max(start, end)))
            except BadInput:
                continue
            assert held == store.held("ann", NAME)
        for path in (path for path in folder.rglob("*") if path.is_file()):
            assert CONTENT.startswith(path.read_bytes())
        assert await store.take("ann", piece(store.held("ann", NAME).bytes_here, 100)) == WHOLE

    asyncio.run(run())
