"""The blob store's promises: a name never holds anything else than it says."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import DamagedBlob
from realign_daemon.work import blobs
from realign_daemon.work.blobs import BlobStore


def test_bytes_come_back_from_any_offset(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    name = store.put_bytes(b"0123456789")
    assert name == hashlib.sha256(b"0123456789").hexdigest()
    assert b"".join(store.chunks(name, offset=4)) == b"456789"
    assert list(store.chunks(name, offset=2**64 - 1)) == []


def test_bytes_that_are_not_what_was_announced_are_not_kept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    incoming = store.incoming(Sha256("0" * 64))
    incoming.write(b"something else")
    with pytest.raises(DamagedBlob):
        incoming.finish()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("put", ["put_file", "put_bytes"])
def test_what_found_no_room_takes_none_and_is_still_where_it_was(
    tmp_path: Path, put: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(blobs, "flush_to_disk", full)
    source, store = tmp_path / "adapter", BlobStore(tmp_path / "blobs")
    source.write_bytes(b"weights")
    with pytest.raises(OSError, match="No space left"):
        getattr(store, put)(source if put == "put_file" else b"weights")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [source]


def test_damage_on_disk_is_noticed_on_reading(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    name = store.put_bytes(b"whole")
    store.path(name).write_bytes(b"damaged")
    with pytest.raises(DamagedBlob):
        store.read(name)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "0" * 63, ""])
def test_a_name_that_is_no_hash_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        BlobStore(tmp_path).path(Sha256(name))


def test_a_power_cut_takes_neither_a_blob_nor_the_folder_that_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[Path, list[str]]] = []
    flush_folder = blobs.flush_folder

    def flush(folder: Path) -> None:
        flushed.append((folder, [path.name for path in folder.iterdir()]))
        flush_folder(folder)

    monkeypatch.setattr(blobs, "flush_folder", flush)
    (tmp_path / "source").write_bytes(b"more")
    store = BlobStore(tmp_path / "blobs")
    for name in (store.put_bytes(b"some"), store.put_bytes(b"some"), store.put_file(tmp_path / "source")):
        assert any(folder == store.folder and name[:2] in names for folder, names in flushed)
        assert any(folder == store.path(name).parent and name in names for folder, names in flushed)


@pytest.mark.parametrize("has_links", [True, False])
def test_a_shared_file_is_in_the_store_and_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    def refused(_: Path, __: Path) -> None:
        raise OSError(errno.ENOTSUP, "no links here")

    if not has_links:
        monkeypatch.setattr(Path, "hardlink_to", refused)
    file, store = tmp_path / "source", BlobStore(tmp_path / "blobs")
    file.write_bytes(b"some")
    name = Sha256(hashlib.sha256(b"some").hexdigest())
    for _ in range(2):
        store.share(file, name)
    assert store.read(name) == file.read_bytes() == b"some"
