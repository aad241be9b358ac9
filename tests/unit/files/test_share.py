"""Shares: what below a share's folder can be had, and that nothing beside it can, whatever the path says."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.errors import BadInput, Full, NotFound, RealignError
from realign_daemon.files.share import SharedPath, Shares, opened
from realign_daemon.work.blobs import BlobStore

SECRET = b"secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A share with a file at two depths, beside a file that is no business of anybody."""
    folder = tmp_path / "share"
    (folder / "part").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"words")
    (folder / "part" / "b.txt").write_bytes(b"more words")
    (tmp_path / "secret.txt").write_bytes(SECRET)
    return folder


def shares(tmp_path: Path, root: Path, *, source_bytes: int = 1000) -> Shares:
    return Shares({"books": root}, BlobStore(tmp_path / "blobs"), source_bytes=source_bytes)


def read(root: Path, relative: str) -> bytes:
    with opened(root, SharedPath.parse(f"share:books/{relative}")) as descriptor:
        return os.read(descriptor, 100)


async def test_a_file_of_a_share_is_taken_in_by_its_content(tmp_path: Path, root: Path) -> None:
    taken = await shares(tmp_path, root).take_in(SharedPath.parse("share:books/part/b.txt"))
    assert (taken.sha256, taken.size_bytes) == (hashlib.sha256(b"more words").hexdigest(), 10)
    assert BlobStore(tmp_path / "blobs").read(taken.sha256) == b"more words"


def test_a_path_names_a_share_and_perhaps_a_node() -> None:
    path = SharedPath.parse("node:studio/books/part/b.txt")
    assert (path.node, path.share, path.parts) == ("studio", "books", ("part", "b.txt"))
    assert (str(path), path.source_name) == ("share:books/part/b.txt", "books/part/b.txt")
    assert SharedPath.parse(str(path)).node == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "share:",
        "share:books",
        "share:books/",
        "share:/etc/passwd",
        "share:books//etc/passwd",
        "share:books/../secret.txt",
        "share:books/part/../../secret.txt",
        "share:../share/a.txt",
        "share:books/.",
        "share:books/./a.txt",
        "share:books/part/",
        "share:books/a.txt\0",
        "share:books/a\n.txt",
        "share:books/\u202etxt.a",
        "share:books/.\u200c./secret.txt",
        "share:books/\ud800.txt",
        "share:books/" + "x" * 256,
        "share:books/" + "é" * 128,
        "share:books/" + "/".join(["x" * 200] * 6),
        "share:bo oks/a.txt",
        "share:%2e%2e/a.txt",
        "share:" + "b" * 65 + "/a.txt",
        "node:books/a.txt",
        "node:/books/a.txt",
        "node:../books/a.txt/..",
        "file:books/a.txt",
        "/etc/passwd",
        "a.txt",
    ],
)
def test_what_is_no_plain_path_below_a_share_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadInput, match="names no file of a share") as refused:
        SharedPath.parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "relative",
    [
        "．．/secret.txt",  # noqa: RUF001 - wide full stops, which some programs turn into plain ones
        "․․/secret.txt",  # noqa: RUF001 - one dot leaders
        "..／secret.txt",  # noqa: RUF001 - a wide solidus
        "..∕secret.txt",  # noqa: RUF001 - a division slash
        "..\\secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "~/secret.txt",
        "$HOME/secret.txt",
        "...",
        "missing.txt",
        "part/missing.txt",
    ],
)
def test_what_only_looks_like_a_way_out_is_a_name_that_nothing_has(root: Path, relative: str) -> None:
    with pytest.raises(NotFound, match="there is no file share:books/"):
        read(root, relative)


def test_no_link_below_a_share_is_followed_even_to_a_file_of_the_share(tmp_path: Path, root: Path) -> None:
    (root / "file").symlink_to(tmp_path / "secret.txt")
    (root / "own").symlink_to(root / "a.txt")
    (root / "folder").symlink_to(tmp_path)
    (root / "part" / "up").symlink_to("..")
    (root / "nowhere").symlink_to("missing")
    (root / "round").symlink_to("round")
    for relative in ("file", "own", "folder/secret.txt", "part/up/a.txt", "nowhere", "round", "round/a.txt"):
        with pytest.raises(BadInput):
            read(root, relative)


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.chdir(root)  # a socket's path is short
    os.mkfifo(root / "pipe")
    (root / "device").symlink_to("/dev/zero")
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(root)  # a socket's path is short
    listener.bind("socket")
    for relative in ("part", "pipe", "socket", "device", "a.txt/below"):
        with pytest.raises(BadInput):
            read(root, relative)
    listener.close()
    with pytest.raises(BadInput, match="no regular file"):
        read(Path("/dev"), "null")


def test_a_file_that_may_not_be_read_is_refused_without_saying_where_it_lies(root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (root / "a.txt").chmod(0)
    with pytest.raises(BadInput, match=r"share:books/a\.txt cannot be opened \(Permission denied\)") as refused:
        read(root, "a.txt")
    assert str(root) not in str(refused.value)


async def test_a_share_that_is_gone_or_unknown_and_a_file_too_small_or_large_are_refused(
    tmp_path: Path, root: Path
) -> None:
    (root / "empty.txt").write_bytes(b"")
    for name, error, sentence in (
        ("share:films/a.txt", NotFound, "no share 'films'"),
        ("share:books/empty.txt", BadInput, "is empty"),
        ("share:books/part/b.txt", Full, "larger than 5 bytes"),
    ):
        with pytest.raises(error, match=sentence):
            await shares(tmp_path, root, source_bytes=5).take_in(SharedPath.parse(name))
    with pytest.raises(NotFound):
        await shares(tmp_path, tmp_path / "unmounted").take_in(SharedPath.parse("share:books/a.txt"))
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


@pytest.mark.parametrize("relative", ["flip/a.txt", "flip.txt"])
def test_a_name_that_is_exchanged_for_a_link_again_and_again_never_leads_out(
    tmp_path: Path, root: Path, relative: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_bytes(SECRET)
    is_folder = "/" in relative
    name = root / relative.partition("/")[0]
    good, bad = root / "good", root / "bad"
    if is_folder:
        good.mkdir()
        (good / "a.txt").write_bytes(b"words")
    else:
        good.write_bytes(b"words")
    bad.symlink_to(outside if is_folder else outside / "a.txt")
    good.rename(name)
    done = threading.Event()

    def flip() -> None:
        while not done.is_set():
            name.rename(good)
            bad.rename(name)
            name.rename(bad)
            good.rename(name)

    thread = threading.Thread(target=flip)
    thread.start()
    read_bytes: list[bytes] = []
    refusals = 0
    try:
        for _ in range(3_000):
            try:
                read_bytes.append(read(root, relative))
            except RealignError:
                refusals += 1
    finally:
        done.set()
        thread.join()
    assert set(read_bytes) <= {b"words"}
    assert refusals > 0


@settings(max_examples=300)
@given(st.text(st.sampled_from("./\\~ab\0é．\u202e"), max_size=20))  # noqa: RUF001 - wide full stop
def test_no_text_reads_anything_but_the_files_of_the_share(
    tmp_path_factory: pytest.TempPathFactory, relative: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "world" / "share"
    root.mkdir(parents=True, exist_ok=True)
    (root / "a").write_bytes(b"words")
    (root.parent / "b").write_bytes(SECRET)
    with contextlib.suppress(RealignError):
        assert read(root, relative) == b"words"


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_no_descriptor_is_left_open(tmp_path: Path, root: Path) -> None:
    (root / "link").symlink_to(root)
    before = descriptors()
    for relative in ("a.txt", "part/b.txt", "part", "link/a.txt", "missing", "part/missing"):
        try:
            await shares(tmp_path, root).take_in(SharedPath.parse(f"share:books/{relative}"))
        except RealignError:
            continue
    assert descriptors() == before
