"""Share: a folder of this machine whose files its owner offers to the cluster under a name, and the way into it."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full, NotFound
from realign_daemon.work.blobs import CHUNK_BYTES, BlobStore

SHARE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PATH_BYTES = 1024  # macOS allows no more
PART_BYTES = 255  # nor any common file system for one name
SCHEMES = ("share", "node")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPath:
    """A file of a share, as a source names it: `share:NAME/relative/path` or `node:NODE/NAME/relative/path`."""

    node: str  # name or id; empty: whichever node has the share
    share: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The path in the text.

        Raises:
            BadInput: it is absolute, goes up, or holds what no plain path holds.
        """
        scheme, _, rest = text.partition(":")
        node, _, below = rest.partition("/") if scheme == "node" else ("", "", rest)
        share, _, relative = below.partition("/")
        parts = tuple(relative.split("/"))
        if (
            scheme not in SCHEMES
            or (scheme == "node" and not node)
            or not SHARE_NAME.fullmatch(share)
            or not all(map(_is_plain, (*parts, node or "node")))
            or len(os.fsencode(relative)) > PATH_BYTES
        ):
            raise BadInput(
                f"{text[:PATH_BYTES]!r} names no file of a share; write share:NAME/relative/path or "
                "node:NODE/NAME/relative/path, with plain names of at most 255 bytes between the slashes"
            )
        return cls(node=node, share=share, parts=parts)

    @property
    def source_name(self) -> str:
        """The name for people and provenance."""
        return "/".join((self.share, *self.parts))

    def __str__(self) -> str:
        """As any node understands it."""
        return f"share:{self.source_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """A file of a share, in the blob store."""

    sha256: Sha256
    size_bytes: int


class Shares:
    """The shares of this node. Only regular files below their folders can be had, and no link is followed."""

    def __init__(self, roots: Mapping[str, Path], blobs: BlobStore, *, source_bytes: int) -> None:
        self._roots = roots
        self._blobs = blobs
        self._source_bytes = source_bytes

    def has(self, share: str) -> bool:
        """Whether this node has a share of this name."""
        return share in self._roots

    async def take_in(self, path: SharedPath) -> TakenIn:
        """Copies the file into the blob store, as it is at this moment.

        Raises:
            NotFound: there is no such share or file.
            BadInput: it is no regular file, a link is on the way, or it is empty or cannot be read.
            Full: it is larger than a source may be.
        """
        root = self._roots.get(path.share)
        if root is None:
            raise NotFound(f"this node has no share {path.share!r}; its owner names them under [shares]")
        return await asyncio.to_thread(self._copy, root, path)

    def _copy(self, root: Path, path: SharedPath) -> TakenIn:
        incoming = self._blobs.incoming()
        size_bytes = 0
        try:
            with opened(root, path) as descriptor:
                while data := os.read(descriptor, CHUNK_BYTES):
                    size_bytes += len(data)
                    if size_bytes > self._source_bytes:
                        raise Full(f"{path} is larger than {self._source_bytes} bytes; raise [limits] source_bytes")
                    incoming.write(data)
            if size_bytes == 0:
                raise BadInput(f"{path} is empty; name a file with text in it")
            return TakenIn(sha256=incoming.finish(), size_bytes=size_bytes)
        finally:
            incoming.discard()


@contextmanager
def opened(root: Path, path: SharedPath) -> Generator[int]:
    """A descriptor of the file, which is what was checked whatever happens to its name.

    Every folder on the way is opened below the one before, and none through a link: to exchange one for a link while
    this runs does not lead out of the root.

    Raises:
        NotFound: there is no such file.
        BadInput: it is no regular file, a link is on the way, or it cannot be read.
    """
    folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        at = os.open(root, folder_flags)
        try:
            for part in path.parts[:-1]:
                below = os.open(part, folder_flags | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            # Looked at before it is opened, as to open a device does something to it, and afterwards, when it may be
            # another one.
            _check_regular(os.stat(path.parts[-1], dir_fd=at, follow_symlinks=False), path)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(path.parts[-1], flags, dir_fd=at)
        finally:
            os.close(at)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}; check the path below the share") from error
    except OSError as error:  # a link gives ELOOP or ENOTDIR, as the system likes it
        raise BadInput(
            f"{path} cannot be opened ({os.strerror(error.errno or 0)}); links are not followed, and "
            "the daemon must be allowed to read every folder on the way"
        ) from error
    try:
        _check_regular(os.fstat(descriptor), path)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_regular(status: os.stat_result, path: SharedPath) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{path} is no regular file; name a file itself, no folder, link or device")


def _is_plain(part: str) -> bool:
    """Whether a part of a path is a name that leads nowhere else. Characters that nobody sees are none of it."""
    return (
        part not in ("", ".", "..") and part.isprintable() and "/" not in part and len(os.fsencode(part)) <= PART_BYTES
    )
