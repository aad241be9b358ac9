"""Outputs: files that arrive whole, right and inside their folder, or not at all."""

from __future__ import annotations

import hashlib
import json
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


def folder_of(files: dict[str, bytes]) -> list[pb.FileChunk]:
    """The chunks of a job's folder whose SHA256SUMS is right."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    return [chunk(name, data) for name, data in {**files, "SHA256SUMS": sums.encode()}.items()]


def everything_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


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


async def test_the_fetched_summary_names_this_copy_and_the_sums_hold_for_it(tmp_path: Path) -> None:
    summary = json.dumps({"output": {"path": "/there/train.jsonl"}}).encode()
    await receive(stream(*folder_of({"train.jsonl": b"{}", "summary.json": summary})), tmp_path)
    here = str(tmp_path / "train.jsonl")
    assert json.loads((tmp_path / "summary.json").read_bytes())["output"] == {
        "path": here,
        "path_on_home": "/there/train.jsonl",
    }
    lines = [line.partition("  ") for line in (tmp_path / "SHA256SUMS").read_text().splitlines()]
    assert {name: sha256 for sha256, _, name in lines} == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("train.jsonl", "summary.json")
    }


async def test_a_summary_that_was_changed_on_the_home_is_named_and_nothing_is_placed(tmp_path: Path) -> None:
    chunks = folder_of({"train.jsonl": b"{}", "summary.json": b'{"output": {"path": "/there"}}'})
    changed = [
        chunk(one.path, b'{"output": {"path": "/other"}}') if one.path == "summary.json" else one for one in chunks
    ]
    with pytest.raises(Damaged, match=r"has other hashes for summary\.json"):
        await receive(stream(*changed), tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("summary", [b'{"output"', b"{}", b"[]", b'{"output": 3}', b"\xff", b"[" * 100_000])
async def test_a_summary_that_no_job_writes_is_damage_and_nothing_is_placed(tmp_path: Path, summary: bytes) -> None:
    with pytest.raises(Damaged, match=r"summary\.json"):
        await receive(stream(*folder_of({"train.jsonl": b"{}", "summary.json": summary})), tmp_path)
    assert contents(tmp_path) == {}


async def test_a_refused_fetch_leaves_no_folder_that_was_not_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    broken = chunk("adapter/weights", b"oops", b"right")
    for folder in (tmp_path / "mine", tmp_path / "new" / "out"):
        with pytest.raises(Damaged):
            await receive(stream(chunk("train.jsonl", b"x"), chunk("adapter/config", b"x"), broken), folder)
    assert everything_in(tmp_path) == ["mine"]
