"""Durable file: a small file that holds either its old or its new content, whatever crashes."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Puts the content under the name, mode 0600, and returns once it is on the disk itself.

    Raises:
        OSError: the disk is full or broken; the old content is still there.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            flush_to_disk(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the temporary name is a string
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108 - the temporary name is a string
        raise
    flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Makes last what others wrote to the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush_to_disk(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Makes a rename in the folder last."""
    flush_file(folder)


def private_folder(path: Path) -> None:
    """Makes the folder, if need be, so that only its owner can look inside; tightens one that is open to others."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def flush_to_disk(descriptor: int) -> None:
    """Like fsync; on macOS with F_FULLFSYNC, as its fsync leaves bytes in the drive's own cache, in any order."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOTTY, errno.EINVAL):  # a file system that knows only fsync
                raise
            os.fsync(descriptor)
    else:
        os.fsync(descriptor)
