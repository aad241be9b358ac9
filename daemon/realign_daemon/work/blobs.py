"""Blob store: files named by the hash of their content, written so that a name never holds anything else."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from realign_daemon.durable_file import flush_folder, flush_to_disk
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import DamagedBlob

CHUNK_BYTES = 1024 * 1024
INCOMING = "incoming-"
_NO_LINKS = (errno.ENOTSUP, errno.EPERM, errno.EMLINK, errno.ENOSYS)  # of file systems such as exFAT


class BlobStore:
    """A folder of blobs. Writes are atomic and durable before they return."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lasting: set[Path] = set()  # folders in it whose names are on the disk itself
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob(f"{INCOMING}*"):  # by a daemon that was killed
            left.unlink()

    def path(self, sha256: Sha256) -> Path:
        """Where the blob is or would be. Raises ValueError when the name is no hash: names come from the wire."""
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of SHA-256
            message = "not a SHA-256 in lower-case hex"
            raise ValueError(message)
        return self.folder / sha256[:2] / sha256

    def has(self, sha256: Sha256) -> bool:
        """True when the blob is here."""
        return self.path(sha256).is_file()

    def hold(self, sha256: Sha256) -> bool:
        """True when the blob is here; then it counts as new, so that gc leaves what is about to name it the time."""
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            return False
        return True

    def put_bytes(self, data: bytes) -> Sha256:
        """Stores bytes and gives their hash."""
        with self._incoming() as incoming:
            incoming.write(data)
            return incoming.finish()

    def put_file(self, source: Path) -> Sha256:
        """Copies a file in, removes the source, and gives the hash."""
        sha256 = self._copy(source)
        source.unlink()
        return sha256

    def _copy(self, source: Path) -> Sha256:
        with self._incoming() as incoming, source.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                incoming.write(data)
            return incoming.finish()

    @contextmanager
    def _incoming(self) -> Generator[Incoming]:
        """Nothing of it stays when it does not come to its end."""
        incoming = self.incoming()
        try:
            yield incoming
        finally:
            incoming.discard()

    def adopt(self, file: Path, sha256: Sha256) -> None:
        """Takes in a file of the store's own file system. The caller knows it to be right and on the disk itself."""
        target = self._place(sha256)
        file.replace(target)
        flush_folder(target.parent)

    def share(self, file: Path, sha256: Sha256) -> None:
        """Like adopt, but the file stays under its own name, too: the bytes are there once where links can be made."""
        target = self._place(sha256)
        try:
            target.hardlink_to(file)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy(file)
        flush_folder(target.parent)

    def _place(self, sha256: Sha256) -> Path:
        """Where the blob goes, in a folder that a power cut does not take."""
        target = self.path(sha256)
        if target.parent not in self._lasting:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            flush_folder(self.folder)
            self._lasting.add(target.parent)
        return target

    def incoming(self, expected: Sha256 | None = None) -> Incoming:
        """A blob that arrives in pieces."""
        return Incoming(self, expected)

    def chunks(self, sha256: Sha256, *, offset: int = 0) -> Iterator[bytes]:
        """The blob's bytes from an offset on, at most 1 MiB each. Raises FileNotFoundError."""
        with self.path(sha256).open("rb") as file:
            file.seek(min(offset, os.fstat(file.fileno()).st_size))  # the wire holds offsets that no file does
            while data := file.read(CHUNK_BYTES):
                yield data

    def read(self, sha256: Sha256) -> bytes:
        """The blob's bytes. Raises FileNotFoundError, or DamagedBlob when they are not what the name says."""
        data = self.path(sha256).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedBlob(sha256=sha256)
        return data


class Incoming:
    """A blob under way: hashed as it comes, visible only when whole."""

    def __init__(self, store: BlobStore, expected: Sha256 | None) -> None:
        self._store = store
        self._expected = expected
        self._hash = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(prefix=INCOMING, dir=store.folder)
        self._file = os.fdopen(descriptor, "wb")
        self._temporary = Path(name)

    def write(self, data: bytes) -> None:
        """Adds the next piece."""
        self._hash.update(data)
        self._file.write(data)

    def finish(self) -> Sha256:
        """Makes the blob durable under its name. Raises DamagedBlob when it is not what was announced."""
        sha256 = Sha256(self._hash.hexdigest())
        if self._expected is not None and sha256 != self._expected:
            self.discard()
            raise DamagedBlob(sha256=self._expected)
        self._file.flush()
        flush_to_disk(self._file.fileno())
        self._file.close()
        self._store.adopt(self._temporary, sha256)
        return sha256

    def discard(self) -> None:
        """Forgets the pieces. Nothing after finish."""
        with suppress(OSError):  # what waits to be written finds no room, and is not wanted
            self._file.close()
        self._temporary.unlink(missing_ok=True)
