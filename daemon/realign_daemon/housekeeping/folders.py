"""Folders: the output folders of jobs under one root, found by the mark that each bears. Every function blocks."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = ".job"  # holds the id of the job whose folder it is: no other writes into it, and none else removes it
REMOVING = ".removing-"  # begins the name of a folder that is on its way out


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file below a folder, its path with slashes."""

    path: str
    size_bytes: int


def files_of(root: Path, job_id: str) -> tuple[StoredFile, ...]:
    """Every file in the job's folders, but for the daemon's own, whose names begin with a dot. No link is followed."""
    return tuple(file for folder in _marked(root, {job_id}) for file in _files(folder) if not file.path.startswith("."))


def job_ids_of(root: Path) -> frozenset[str]:
    """The jobs that have a folder there."""
    found: set[str] = set()
    for mark in root.glob(f"*/{MARK}"):
        with suppress(OSError, UnicodeDecodeError):
            found.add(mark.read_text("utf-8"))
    return frozenset(found)


def remove_folders(root: Path, job_ids: Collection[str]) -> tuple[StoredFile, ...]:
    """Removes the folders of these jobs, and what an earlier call could not finish; the files that are gone.

    Raises:
        OSError: something could not be removed; the next call goes on with it.
    """
    removed: list[StoredFile] = []
    for folder in _marked(root, job_ids):
        removed += (file for file in _files(folder) if not file.path.startswith("."))
        going = root / f"{REMOVING}{folder.name}"
        _remove(going)
        folder.rename(going)  # in one step: half a folder would look whole to its next reader, or bear no mark
    for left in root.glob(f"{REMOVING}*"):
        _remove(left)
    return tuple(removed)


def _marked(root: Path, job_ids: Collection[str]) -> Iterator[Path]:
    for mark in sorted(root.glob(f"*/{MARK}")):
        with suppress(OSError, UnicodeDecodeError):
            if not mark.parent.is_symlink() and not mark.is_symlink() and mark.read_text("utf-8") in job_ids:
                yield mark.parent


def _files(folder: Path) -> Iterator[StoredFile]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield StoredFile(path=path.relative_to(folder).as_posix(), size_bytes=path.stat().st_size)


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
