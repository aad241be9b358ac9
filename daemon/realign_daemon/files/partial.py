"""Partial: a content that arrives in pieces, over as many connections and restarts as it takes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from pathlib import Path

from realign_daemon.durable_file import flush_to_disk
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, DamagedBlob
from realign_daemon.work.blobs import BlobStore

ARRIVING = "arriving"  # folder of the blob store: in it one for each sender, in those a file for each content


def arriving(blobs: BlobStore, sender: str) -> Path:
    """Where contents of one sender arrive. What somebody else sends under the same hash lies elsewhere."""
    folder = blobs.folder / ARRIVING / hashlib.sha256(sender.encode()).hexdigest()[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class Partial:
    """The bytes of a content that are here, from its beginning on. The file itself says how many."""

    def __init__(self, path: Path, sha256: Sha256) -> None:
        self.path = path
        self._sha256 = sha256

    @property
    def bytes_here(self) -> int:
        """How many there are."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def add(self, offset: int, data: bytes) -> None:
        """Writes the piece; what is here already stays as it is.

        Written on the loop, not in a thread: a piece whose connection broke must not be written later than it seems.

        Raises:
            BadInput: there would be a gap before the piece.
        """
        here = self.bytes_here
        if offset > here:
            raise BadInput(f"the bytes from {here} to {offset} of {self._sha256[:12]} are missing; go on at {here}")
        if new := data[here - offset :]:
            with self.path.open("ab", buffering=0) as file:
                written = file.write(new)
            if written < len(new):  # the next piece goes on behind what was written
                raise OSError(errno.ENOSPC, f"only {written} of {len(new)} bytes were written")

    async def check(self) -> None:
        """Returns when the content is right and on the disk itself.

        Raises:
            DamagedBlob: it is not what its name says; nothing of it is kept.
        """
        digest, length = await asyncio.to_thread(_digest, self.path)
        if digest != self._sha256 or length != self.bytes_here:
            self.path.unlink(missing_ok=True)
            raise DamagedBlob(sha256=self._sha256)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        flush_to_disk(file.fileno())
        return digest, file.tell()
