"""Sums: the hashes of the files of an output folder, as `sha256sum -c SHA256SUMS` reads them."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from pathlib import Path

from realign_daemon.curation.export import LAST

SUMS = "SHA256SUMS"


def sums(files: Mapping[str, bytes], folders: Mapping[str, Path | None]) -> bytes:
    """A line for every visible file, and for every member of the tars that are unpacked into folders, by name.

    The summary has none: it names the folder that it lies in, so it changes when the folder is delivered.
    """
    hashes = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if not name.startswith(".") and name != LAST
    }
    for folder, tar in folders.items():
        hashes |= {} if tar is None else {f"{folder}/{name}": value for name, value in members(tar).items()}
    return "".join(f"{value}  {name}\n" for name, value in sorted(hashes.items())).encode()


def members(tar: Path) -> dict[str, str]:
    """The SHA-256 of every file in a tar, by name."""
    found: dict[str, str] = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                with content:
                    found[member.name] = hashlib.file_digest(content, "sha256").hexdigest()  # pyright: ignore[reportArgumentType] - it reads as files do
    return found
