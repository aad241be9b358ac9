"""Sums: the hashes of the files of an output folder, as `sha256sum -c SHA256SUMS` reads them."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import cast

SUMS = "SHA256SUMS"


def sums(files: Mapping[str, bytes], folders: Mapping[str, Path | None]) -> bytes:
    """A line for every visible file, and for every member of the tars that are unpacked into folders, by name.

    The summary names the folder that it lies in: who delivers it elsewhere changes it and its line here.
    """
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if not name.startswith(".")}
    for folder, tar in folders.items():
        hashes |= {} if tar is None else {f"{folder}/{name}": value for name, value in _members(tar)}
    return "".join(f"{value}  {name}\n" for name, value in sorted(hashes.items())).encode()


def _members(tar: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(tar) as archive:
        for member in archive:
            content = cast("BufferedReader | None", archive.extractfile(member))  # which it is, whatever its stub says
            if content is not None:
                with content:
                    yield member.name, hashlib.file_digest(content, "sha256").hexdigest()
