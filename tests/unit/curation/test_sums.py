"""Sums: what `sha256sum -c` would find in the folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from realign_daemon.curation.export import write_folder
from realign_daemon.curation.sums import SUMS, sums


def test_every_visible_file_has_its_hash_the_summary_too(tmp_path: Path) -> None:
    tar = tmp_path / "adapter.tar"
    with tarfile.open(tar, "w") as archive:
        entry = tarfile.TarInfo("adapters.safetensors")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"data"))
    files = {"train.jsonl": b"{}\n", "summary.json": b"{}", ".job": b"id"}
    found = sums(files, {"adapter": tar, "model": None})
    write_folder(tmp_path / "out", {**files, SUMS: found}, adapter=tar)

    lines = {name: value for value, _, name in (line.partition("  ") for line in found.decode().splitlines())}
    assert list(lines) == ["adapter/adapters.safetensors", "summary.json", "train.jsonl"]
    assert lines == {name: hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() for name in lines}
