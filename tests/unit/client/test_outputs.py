"""Outputs: files that arrive whole, right and inside their folder, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realign_client.errors import Damaged
from realign_client.outputs import receive, safe_path
from realign_proto.v1 import curation_pb2 as pb


def chunk(path: str, data: bytes, whole: bytes | None = None) -> pb.FileChunk:
    whole = data if whole is None else whole
    return pb.FileChunk(path=path, size_bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest(), data=data)


async def stream(*chunks: pb.FileChunk) -> AsyncIterator[pb.FileChunk]:
    for one in chunks:
        yield one


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def test_files_of_several_chunks_and_empty_ones_arrive_under_their_names(tmp_path: Path) -> None:
    chunks = [chunk("a/train.jsonl", b"one", b"onetwo"), chunk("a/train.jsonl", b"two", b"onetwo"), chunk("empty", b"")]
    files = await receive(stream(*chunks), tmp_path / "out")
    assert contents(tmp_path / "out") == {"a/train.jsonl": b"onetwo", "empty": b""}
    assert [file.name for file in files] == ["train.jsonl", "empty"]


async def test_a_file_with_the_wrong_bytes_leaves_the_earlier_one_in_place(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(b"earlier")
    with pytest.raises(Damaged, match="fetch the job again"):
        await receive(stream(chunk("train.jsonl", b"oops", b"right")), tmp_path)
    assert contents(tmp_path) == {"train.jsonl": b"earlier"}


async def test_a_stream_that_breaks_off_leaves_no_half_file(tmp_path: Path) -> None:
    with pytest.raises(Damaged):
        await receive(stream(chunk("a", b"one", b"onetwo"), chunk("b", b"x")), tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../evil", "a//b", "", ".", "a\\b", "a\x1b[2Jb", "a\0b"]
)
async def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    with pytest.raises(Damaged):
        await receive(stream(chunk(name, b"x")), folder)
    assert contents(tmp_path) == {}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(Damaged):
        safe_path(folder, "link/file")
