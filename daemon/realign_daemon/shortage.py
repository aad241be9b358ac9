"""Shortage: what the system has none left of for now. Nothing is broken: somebody frees some, and the same works."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import structlog

log = structlog.get_logger()

Shortage = Literal["disk", "files"]

# SQLite's answers to a full disk; the second is about the index of the log, which is made anew at every start.
_SQLITE = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
_SYSTEM: dict[int, Shortage] = {
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.EMFILE: "files",
    errno.ENFILE: "files",
}


def shortage(error: BaseException) -> Shortage | None:
    """What the error says there is none left of: room on the disk, or open files. None where it says something else."""
    if isinstance(error, sqlite3.DatabaseError):
        return "disk" if sqlite_name(error) in _SQLITE else None
    return _SYSTEM.get(error.errno or 0) if isinstance(error, OSError) else None


@contextmanager
def outlasted(event: str) -> Generator[None]:
    """Passes over what fails for a shortage, with a warning: it is done again and again."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        if shortage(error) is None:
            raise
        log.warning(event, reason=str(error))


def sqlite_name(error: sqlite3.DatabaseError) -> str:
    """SQLite's name of the error; empty where SQLite has no part in it."""
    return getattr(error, "sqlite_errorname", "")
