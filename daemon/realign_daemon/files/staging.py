"""Staging: contents that clients have sent and that no job names yet. They survive a restart and last a week."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full
from realign_daemon.files.partial import ARRIVING, Partial, arriving
from realign_daemon.shortage import outlasted
from realign_daemon.work.blobs import CHUNK_BYTES, BlobStore

log = structlog.get_logger()

WHOLE = ".whole"  # ends the name of a content that was found right
KEPT_S = 7 * 86_400.0  # a laptop that was closed over a weekend goes on where it stopped
SWEEP_S = 6 * 3_600.0
FREE_BYTES = 512 * 1024**2  # left to the ledger, which needs room to write down that the disk is full
MOST_CONTENTS = 20_000  # of one client: each takes an inode, however small it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a content and where it goes."""

    sha256: Sha256
    size_bytes: int  # of the content
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How much of a content is here."""

    bytes_here: int
    is_whole: bool


@dataclass(slots=True, kw_only=True)
class _Shelf:
    """What one client has sent."""

    folder: Path
    bytes_here: int
    contents: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Staging:
    """The contents of each client lie apart, so that none can spoil what another sends. `run` removes old ones."""

    def __init__(
        self,
        blobs: BlobStore,
        *,
        clock: Clock,
        client_bytes: int,
        source_bytes: int,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """`client_bytes` bounds what waits here for one client, `source_bytes` a single content."""
        self._blobs = blobs
        self._clock = clock
        self._client_bytes = client_bytes
        self._source_bytes = source_bytes
        self._free_bytes = free_bytes
        self._shelves: dict[str, _Shelf] = {}

    async def run(self) -> None:
        """Removes what nobody came back for, now and every few hours, until cancelled."""
        while True:
            with outlasted("uploads.not_swept"):
                self.sweep()
            await self._clock.sleep(SWEEP_S)

    def sweep(self) -> None:
        """Removes what has not grown for a week."""
        known = {shelf.folder: shelf for shelf in self._shelves.values()}
        for file in (self._blobs.folder / ARRIVING).glob("*/*"):
            shelf = known.get(file.parent)
            if shelf is not None and shelf.lock.locked():
                continue
            with suppress(FileNotFoundError):  # it has just become a blob
                status = file.stat()
                if status.st_mtime < self._clock.unix() - KEPT_S:
                    file.unlink()
                    if shelf is not None:
                        shelf.bytes_here -= status.st_size
                        shelf.contents -= 1
                    log.info("upload.forgotten", blob=file.name)

    def held(self, client: str, sha256: Sha256) -> Held:
        """What is here of a content that the client may go on sending. Raises BadInput when the name is no hash."""
        blob, folder = self._path(sha256), self._shelf(client).folder
        self._blobs.hold(sha256)  # whoever hears that it need not be sent has the time to name it
        for path in (folder / (sha256 + WHOLE), blob):  # in the order in which it may be moving
            with suppress(FileNotFoundError):
                return Held(bytes_here=path.stat().st_size, is_whole=True)
        return Held(bytes_here=Partial(folder / sha256, sha256).bytes_here, is_whole=False)

    async def take(self, client: str, piece: Piece) -> Held:
        """Adds a piece; with the last one the content is checked. What is here already is passed over.

        Raises:
            BadInput: the piece fits into no content of this size, or leaves a gap.
            Full: the client has as much waiting here as it may, or the disk is full.
            DamagedBlob: the content is not what its name says; it begins anew.
        """
        self._check(piece)
        shelf = self._shelf(client)
        async with shelf.lock:
            held = self.held(client, piece.sha256)
            if held.is_whole:
                return held
            partial = Partial(shelf.folder / piece.sha256, piece.sha256)
            whole = self._whole(shelf, piece.sha256)
            self._reserve(shelf, piece, held.bytes_here)
            try:
                partial.add(piece.offset, piece.data)
                if partial.bytes_here == piece.size_bytes:
                    await partial.check()
                    partial.path.rename(whole.path)
            except OSError as error:
                raise Full(
                    f"this node could not store the upload ({_reason(error)}); make room there or ask another node"
                ) from error
            finally:
                now = max(partial.bytes_here, whole.bytes_here)
                shelf.bytes_here += now - held.bytes_here
                shelf.contents += (now > 0) - (held.bytes_here > 0)
            return self.held(client, piece.sha256)

    async def hand_over(self, client: str, contents: Iterable[Sha256]) -> None:
        """Has those that the client has sent whole in the blob store, too. They still count as waiting here.

        Raises BadInput when a name is no hash.
        """
        shelf = self._shelf(client)
        async with shelf.lock:
            for sha256 in contents:
                whole = self._whole(shelf, sha256)
                if whole.bytes_here and not self._blobs.hold(sha256):
                    await asyncio.to_thread(self._blobs.share, whole.path, sha256)

    async def release(self, client: str, contents: Iterable[Sha256]) -> None:
        """Counts them as waiting no more: a job names them now, and the blob store has them."""
        shelf = self._shelf(client)
        async with shelf.lock:
            for sha256 in contents:
                whole = self._whole(shelf, sha256)
                if size_bytes := whole.bytes_here:
                    whole.path.unlink()
                    shelf.bytes_here -= size_bytes
                    shelf.contents -= 1

    def check_room(self, size_bytes: int) -> None:
        """Raises Full when the disk has no room for so much more."""
        if self._free_bytes(self._blobs.folder) < size_bytes + FREE_BYTES:
            raise Full(f"the disk of this node has no room for {size_bytes} bytes more; make room or ask another node")

    def _check(self, piece: Piece) -> None:
        end = piece.offset + len(piece.data)
        if piece.size_bytes <= 0 or end > piece.size_bytes or len(piece.data) > CHUNK_BYTES:
            raise BadInput(
                f"a piece of {len(piece.data)} bytes at {piece.offset} is none of a content of {piece.size_bytes} "
                f"bytes; send pieces of {CHUNK_BYTES} bytes at most, the last one ending with the content"
            )
        if piece.size_bytes > self._source_bytes:
            raise Full(
                f"a source of {piece.size_bytes} bytes is larger than the {self._source_bytes} that this node takes; "
                "split it or raise [limits] source_bytes"
            )

    def _reserve(self, shelf: _Shelf, piece: Piece, bytes_here: int) -> None:
        """Raises Full when the rest of the content has no room here."""
        rest = piece.size_bytes - bytes_here
        if shelf.bytes_here + rest > self._client_bytes or (not bytes_here and shelf.contents >= MOST_CONTENTS):
            raise Full(
                f"you have {shelf.bytes_here} bytes in {shelf.contents} files here that no job names yet, and "
                f"{self._client_bytes} bytes are the most that wait for one client; submit a job with them first, "
                "or raise [limits] client_upload_bytes"
            )
        self.check_room(rest)

    def _shelf(self, client: str) -> _Shelf:
        if client not in self._shelves:
            folder = arriving(self._blobs, client)
            sizes = [file.stat().st_size for file in folder.iterdir()]
            self._shelves[client] = _Shelf(folder=folder, bytes_here=sum(sizes), contents=len(sizes))
        return self._shelves[client]

    def _whole(self, shelf: _Shelf, sha256: Sha256) -> Partial:
        self._path(sha256)  # raises BadInput
        return Partial(shelf.folder / (sha256 + WHOLE), sha256)

    def _path(self, sha256: Sha256) -> Path:
        try:
            return self._blobs.path(sha256)
        except ValueError as error:
            raise BadInput(f"{sha256[:80]!r} is no SHA-256 in lower-case hex; use a client of this version") from error


def _reason(error: OSError) -> str:
    return "its disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT, None) else str(error.strerror)
