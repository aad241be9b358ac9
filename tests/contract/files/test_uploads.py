"""Uploads over real connections: what is sent, what is not sent twice, and where it ends up."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from tests.contract.files.world import Line, Node

from realign_client.channels import CHANNEL_OPTIONS
from realign_client.errors import Damaged, Refused
from realign_client.sources import SourceFile, collect, pieces
from realign_client.uploads import upload
from realign_daemon.engine.api import Sha256
from realign_daemon.files.partial import arriving
from realign_daemon.files.staging import WHOLE
from realign_daemon.rpc.work_link import FETCHED
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import files_pb2
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.files_pb2_grpc import FilesStub

if TYPE_CHECKING:
    from realign_proto.v1.files_pb2_grpc import FilesAsyncStub

MEBIBYTE = 2**20
REQUEST = pb.JobRequest(text="DPO pairs", data_type="dpo", model="pocket")
SENSELESS = pb.JobRequest(text="DPO pairs", data_type="dpo", model="pocket", settings={"no such setting": "1"})
STALLED = "nothing has come for"


def book(folder: Path, size_bytes: int) -> SourceFile:
    """A text that nothing compresses, of lines that a reader of text takes."""
    noise = random.Random(1).randbytes(size_bytes // 2).hex().encode()
    text = b"\n".join(noise[start : start + 80] for start in range(0, len(noise), 80))
    file = folder / "book.txt"
    file.write_bytes(text[:size_bytes])
    (source,) = collect([str(file)])
    return source


def files_at(port: int) -> FilesAsyncStub:
    return FilesStub(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=list(CHANNEL_OPTIONS.items())))


async def test_an_upload_that_broke_at_nine_tenths_sends_only_what_has_not_arrived(
    nodes: tuple[Node, Node], line: Line, tmp_path: Path
) -> None:
    source = book(tmp_path, 16 * MEBIBYTE)
    line.breaks_after = broke_at = 9 * source.size_bytes // 10
    shown: list[int] = []
    await upload(files_at(line.port), [source], lambda there, _total: shown.append(there))
    assert line.breaks == 1
    arrived = next(now for before, now in pairwise(shown) if now <= before)
    assert arrived > source.size_bytes // 4  # gRPC's windows hold some MB more where the disk is slow
    assert line.carried - broke_at < source.size_bytes - arrived + MEBIBYTE
    assert shown[-1] == source.size_bytes
    assert nodes[1].staging.held("owner", Sha256(source.sha256)).is_whole


async def test_an_upload_that_was_interrupted_goes_on_in_the_next_one(
    nodes: tuple[Node, Node], line: Line, tmp_path: Path
) -> None:
    source = book(tmp_path, 16 * MEBIBYTE)
    half = asyncio.Event()

    def interrupt(there: int, total: int) -> None:
        if there >= total // 2:
            half.set()

    first = asyncio.create_task(upload(files_at(line.port), [source], interrupt))
    await half.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    shown: list[int] = []
    await upload(files_at(nodes[1].port), [source], lambda there, _total: shown.append(there))
    assert shown[0] >= source.size_bytes // 4


async def test_a_file_that_changes_while_it_is_sent_is_refused(nodes: tuple[Node, Node], tmp_path: Path) -> None:
    source = book(tmp_path, MEBIBYTE)
    assert source.path is not None
    source.path.write_bytes(b"x" * MEBIBYTE)
    with pytest.raises(grpc.aio.AioRpcError, match="send the file again"):
        await upload(files_at(nodes[1].port), [source], lambda _there, _total: None)
    source.path.write_bytes(b"shorter")
    with pytest.raises(Damaged, match="changed while it was sent"):
        await upload(files_at(nodes[1].port), [source], lambda _there, _total: None)


async def test_what_the_cluster_has_is_not_sent_again(nodes: tuple[Node, Node], line: Line, tmp_path: Path) -> None:
    source = book(tmp_path, MEBIBYTE // 2)
    await nodes[1].client().submit(REQUEST, [source])
    await nodes[1].client(f"127.0.0.1:{line.port}").submit(REQUEST, [source])
    assert line.carried < MEBIBYTE // 8


async def test_two_clients_that_send_the_same_at_once_both_get_their_job(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    source = book(tmp_path, MEBIBYTE // 4)
    replies = await asyncio.gather(*(nodes[1].client().submit(REQUEST, [source]) for _ in range(2)))
    assert len({reply.job_id for reply in replies}) == 2


async def test_the_home_goes_on_fetching_from_the_node_that_was_asked_where_it_had_stopped(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    leader, other = nodes
    source = book(tmp_path, MEBIBYTE // 2)
    assert source.path is not None
    (arriving(leader.home.blobs, FETCHED) / source.sha256).write_bytes(source.path.read_bytes()[: MEBIBYTE // 4])
    await other.client().submit(REQUEST, [source])
    assert other.work.offsets == [MEBIBYTE // 4]
    assert leader.home.blobs.has(Sha256(source.sha256))


async def test_bytes_fetched_before_that_were_damaged_are_thrown_away_and_the_next_submit_succeeds(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    source = book(tmp_path, MEBIBYTE // 4)
    (arriving(nodes[0].home.blobs, FETCHED) / source.sha256).write_bytes(b"damaged")
    with pytest.raises(Refused, match="send the file again"):
        await nodes[1].client().submit(REQUEST, [source])
    await nodes[1].client().submit(REQUEST, [source])


def on_the_shelf(node: Node) -> list[str]:
    """What waits there for a job of the client's to name it, and counts as the client's."""
    return [path.name.removesuffix(WHOLE) for path in arriving(node.home.blobs, "owner").iterdir()]


def with_bytes(request: pb.JobRequest, *sources: SourceFile) -> AsyncIterator[pb.SubmitRequest]:
    """As a client sends it to a daemon that takes no uploads."""
    announced = pb.JobRequest(sources=[source.announcement() for source in sources])
    announced.MergeFrom(request)

    async def parts() -> AsyncIterator[pb.SubmitRequest]:
        yield pb.SubmitRequest(request=announced)
        for source in sources:
            for piece in pieces(source):
                yield pb.SubmitRequest(bytes=pb.SourceBytes(sha256=source.sha256, data=piece.data))

    return parts()


@pytest.mark.parametrize("asked", [0, 1], ids=["asked at the leader", "asked elsewhere"])
async def test_what_was_uploaded_for_a_refused_submit_stays_the_clients_until_a_job_names_it(
    nodes: tuple[Node, Node], tmp_path: Path, asked: int
) -> None:
    source = book(tmp_path, MEBIBYTE // 4)
    client = nodes[asked].client()
    for _ in range(2):
        with pytest.raises(Refused):
            await client.submit(SENSELESS, [source])
        assert on_the_shelf(nodes[asked]) == [source.sha256]
    await client.submit(REQUEST, [source])
    assert on_the_shelf(nodes[asked]) == []
    assert nodes[0].home.blobs.has(Sha256(source.sha256))


@pytest.mark.parametrize("asked", [0, 1], ids=["asked at the leader", "asked elsewhere"])
async def test_bytes_that_come_with_a_refused_submit_stay_the_clients_until_a_job_names_them(
    nodes: tuple[Node, Node], tmp_path: Path, asked: int
) -> None:
    source, stub = book(tmp_path, MEBIBYTE // 4), CurationStub(nodes[asked].channel)
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Submit(with_bytes(SENSELESS, source))
        assert on_the_shelf(nodes[0]) == [source.sha256]
    reply = await stub.Submit(with_bytes(REQUEST, source))
    assert on_the_shelf(nodes[0]) == []
    assert nodes[0].home.jobs.get(reply.job_id).spec.sources[0].sha256 == source.sha256


async def test_a_submit_has_one_file_open_however_many_sources_it_begins(nodes: tuple[Node, Node]) -> None:
    names = [f"{number:064x}" for number in range(300)]
    request = pb.JobRequest(sources=[pb.Source(name="a.txt", sha256=name, size_bytes=2) for name in names])
    request.MergeFrom(REQUEST)
    opened: list[int] = []

    async def parts() -> AsyncIterator[pb.SubmitRequest]:
        yield pb.SubmitRequest(request=request)
        before = open_files()
        for name in names:
            yield pb.SubmitRequest(bytes=pb.SourceBytes(sha256=name, data=b"x"))
        while len(on_the_shelf(nodes[0])) < len(names):  # noqa: ASYNC110 - files
            await asyncio.sleep(0)
        opened.append(open_files() - before)

    with pytest.raises(grpc.aio.AioRpcError):
        await CurationStub(nodes[0].channel).Submit(parts())
    assert opened[0] < 10


def open_files() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - some of them are gone when they are looked at


@pytest.mark.parametrize("asked", [0, 1], ids=["asked at the leader", "asked elsewhere"])
@pytest.mark.parametrize("sent", [0, 1], ids=["nothing came", "the request came"])
async def test_a_submit_that_stalls_is_ended_with_a_sentence(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, asked: int, sent: int
) -> None:
    monkeypatch.setattr("realign_daemon.rpc.upload.IDLE_S", 0.1)

    async def parts() -> AsyncIterator[pb.SubmitRequest]:
        for _ in range(sent):
            yield pb.SubmitRequest(request=pb.JobRequest(sources=[pb.Source(name="a", sha256="a" * 64, size_bytes=2)]))
        await asyncio.Event().wait()

    with pytest.raises(grpc.aio.AioRpcError, match=STALLED) as stalled:
        await CurationStub(nodes[asked].channel).Submit(parts(), timeout=10)
    assert stalled.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_upload_that_stalls_is_ended_and_goes_on_in_the_next_one(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realign_daemon.rpc.upload.IDLE_S", 0.1)
    content = b"Sums are easy."
    name = hashlib.sha256(content).hexdigest()

    async def parts() -> AsyncIterator[files_pb2.UploadPart]:
        yield files_pb2.UploadPart(sha256=name, size_bytes=len(content), data=content[:5])
        await asyncio.Event().wait()

    stub = FilesStub(nodes[0].channel)
    with pytest.raises(grpc.aio.AioRpcError, match=STALLED):
        await stub.Upload(parts(), timeout=10)
    rest = files_pb2.UploadPart(sha256=name, size_bytes=len(content), offset=5, data=content[5:])
    assert (await stub.Upload(iter([rest]))).blobs[0].whole


@pytest.mark.parametrize("path", ["share:books/a.txt", "share:of-leader/a.txt", "node:leader/books/a.txt"])
async def test_a_file_of_a_share_becomes_a_source_by_content_whichever_node_has_it(
    nodes: tuple[Node, Node], path: str
) -> None:
    reply = await nodes[1].client().submit(REQUEST, collect([path]))
    (source,) = nodes[0].home.jobs.get(reply.job_id).spec.sources
    text = b"Sums are easy."
    assert (source.sha256, source.size_bytes) == (hashlib.sha256(text).hexdigest(), len(text))
    assert source.name in ("books/a.txt", "of-leader/a.txt")


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("share:films/a.txt", grpc.StatusCode.NOT_FOUND, "no node that can be reached has share:films/a.txt"),
        ("share:books/b.txt", grpc.StatusCode.NOT_FOUND, "there is no file share:books/b.txt"),
        ("share:books/../secret.txt", grpc.StatusCode.INVALID_ARGUMENT, "names no file of a share"),
        ("share:of-leader/../secret.txt", grpc.StatusCode.INVALID_ARGUMENT, "names no file of a share"),
        ("node:laptop/books/a.txt", grpc.StatusCode.UNAVAILABLE, "node 'laptop', which holds share:books/a.txt"),
        ("/etc/passwd", grpc.StatusCode.INVALID_ARGUMENT, "names no file of a share"),
        ("", grpc.StatusCode.INVALID_ARGUMENT, "names no file of a share"),
    ],
)
async def test_a_file_that_no_share_has_is_refused_in_one_sentence(
    nodes: tuple[Node, Node], path: str, code: grpc.StatusCode, sentence: str
) -> None:
    request = pb.JobRequest()
    request.CopyFrom(REQUEST)
    request.sources.add(name=path)
    with pytest.raises(Refused, match=sentence) as refused:
        await nodes[1].client().submit(request)
    assert "\n" not in str(refused.value)
    assert str(nodes[1].folder) not in str(refused.value)
    assert isinstance(refused.value.__cause__, grpc.aio.AioRpcError)
    assert refused.value.__cause__.code() is code


async def test_what_is_too_much_is_refused_before_a_byte_is_sent_with_exit_code_1(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    small = book(tmp_path, 100)
    large = SourceFile(path=small.path, name="a.txt", sha256="a" * 64, size_bytes=2**40)
    for source, changes, sentence in (
        (large, pb.JobRequest(), "larger than the"),
        (small, pb.JobRequest(count=51), "51 is more than the 50 that this node takes for count"),
        (small, pb.JobRequest(settings={"max_tokens": "99999"}), "for max_tokens"),
        (small, pb.JobRequest(text="x" * 20_000), "the request has 20000 characters"),
    ):
        request = pb.JobRequest()
        request.CopyFrom(REQUEST)
        request.MergeFrom(changes)
        with pytest.raises(Refused, match=sentence) as refused:
            await nodes[1].client().submit(request, [source])
        assert refused.value.exit_code == 1
        assert isinstance(refused.value.__cause__, grpc.aio.AioRpcError)
        assert refused.value.__cause__.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert nodes[0].home.jobs.all() == ()


async def test_a_wrong_upload_is_refused_without_a_word_about_the_program(nodes: tuple[Node, Node]) -> None:
    stub = FilesStub(nodes[1].channel)
    part = files_pb2.UploadPart(sha256="a" * 64, size_bytes=10, offset=5, data=b"12345")
    for call in (
        stub.HasBlobs(files_pb2.BlobsQuery(sha256=["../../etc/passwd"])),
        stub.HasBlobs(files_pb2.BlobsQuery(sha256=["a"] * 10_001)),
        stub.Upload(iter([part])),
        stub.Upload(iter([files_pb2.UploadPart(sha256="a" * 64, size_bytes=2**63, offset=2**63, data=b"")])),
        stub.TakeIn(files_pb2.SharedFile(path="share:books/\0")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
        details = refused.value.details() or ""
        assert "; " in details
        assert not any(word in details for word in ("Error", "Traceback", "Exception", ".py", "internal"))
