"""Ballast: a file that takes up room on the disk, to be given up when there is none left for the ledger."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import structlog

from realign_daemon.durable_file import flush_to_disk

log = structlog.get_logger()

BALLAST_BYTES = 64 * 1024 * 1024  # some thousand commits; enough to save what state all jobs are in
PIECE_BYTES = 1024 * 1024


class Ballast:
    """The file. `keep` is called now and then, `drop` from the thread that met a full disk."""

    def __init__(self, path: Path, *, least_free_bytes: int, size_bytes: int = BALLAST_BYTES) -> None:
        """It is made only where `least_free_bytes` stay free beside it."""
        self._path = path
        self._least_free_bytes = least_free_bytes
        self._size_bytes = size_bytes

    def keep(self) -> None:
        """Makes the file if it is gone and there is room."""
        if self._path.exists() or shutil.disk_usage(self._path.parent).free < self._size_bytes + self._least_free_bytes:
            return
        # Written, and in bytes that no file system can compress, so that the room is really taken.
        piece = os.urandom(PIECE_BYTES)
        unfinished = self._path.with_name(f"{self._path.name}.new")
        try:
            with unfinished.open("wb") as file:
                for _ in range(0, self._size_bytes, PIECE_BYTES):
                    file.write(piece)
                file.flush()
                flush_to_disk(file.fileno())
            unfinished.replace(self._path)
        except OSError as error:  # others fill the disk: next time, perhaps
            with contextlib.suppress(OSError):
                unfinished.unlink()
            log.info("ballast.not_made", reason=str(error))

    def drop(self) -> bool:
        """Gives up the file; whether that made room."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:  # a file system that writes before it frees can be too full even for this
            log.error("ballast.stays", reason=str(error), remedy="free some disk space")  # noqa: TRY400 - a state, no surprise
            return False
        log.warning("ballast.dropped", remedy="free some disk space; the ledger lives on its last reserve now")
        return True
