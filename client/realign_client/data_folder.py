"""Data folder: what a daemon and its clients keep in a data directory, by name. All else in there is not ours."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

LOCK = "realignd.lock"
LEDGER = "ledger.sqlite"
LOCAL = "local"  # a data directory of its own, of the daemon that `submit --local` starts
OURS = (
    *(LEDGER, "ledger.sqlite-*", "ledger.sqlite.schema*.bak*", "blobs", "cache", "curated", "provisional", "trust"),
    *("ballast", "ballast.new", "node.json", "cluster.json", "models.json", "benchmark.json", "pause.json"),
    *("endpoint", "port", "socket", "realignd.sock", LOCK, "realignd.log", "realignd.out", "grpc.log"),
    *("deliveries.*", LOCAL, "models", "models-arriving", "canaries.json"),
)
PROOFS = (LEDGER, LOCK, "deliveries.lock")  # one of them is there wherever a daemon or a client has kept anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or folder of ours right below the data directory."""

    path: Path
    files: int
    size_bytes: int
    leads_to: str = ""  # of a link, which is never followed


def entries(folder: Path) -> tuple[Entry, ...]:
    """What is ours in the folder, by name; nothing where there is none."""
    return tuple(_entry(path) for path in _below(folder) if is_ours(path.name))


def strangers(folder: Path) -> tuple[Path, ...]:
    """What is not ours in the folder."""
    return tuple(path for path in _below(folder) if not is_ours(path.name))


def is_ours(name: str) -> bool:
    """Whether a daemon or client gives this name, or that of a file that it replaces in one step, to what it keeps."""
    return any(fnmatchcase(name, ours) or fnmatchcase(name, f".{ours}.*") for ours in OURS)


def has_proof(folder: Path) -> bool:
    """Whether the folder bears what only we leave in one."""
    return any((folder / name).is_file() for name in PROOFS)


def is_in_use(folder: Path) -> bool:
    """Whether a daemon runs on the folder."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _below(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _entry(path: Path) -> Entry:
    if path.is_symlink():
        return Entry(path=path, files=1, size_bytes=0, leads_to=str(path.readlink()))
    sizes = list(_sizes(path))
    return Entry(path=path, files=len(sizes), size_bytes=sum(sizes))


def _sizes(path: Path) -> Iterator[int]:
    if not path.is_dir():
        yield path.lstat().st_size
        return
    for root, _, names in os.walk(path):  # follows no link
        for name in names:
            with suppress(FileNotFoundError):  # a daemon may be at work
                yield os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - paths of 100,000 files
