"""Hub download: one file of a model, from the byte where an earlier try stopped. Runs in a worker child."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from realign_daemon.durable_file import flush_to_disk
from realign_daemon.models.hub_answer import Answer, Broken, HubRefusal, asked, endpoint, path_of

CHUNK_BYTES: Final = 2**20
TRIES = 6  # in a row that bring nothing: with the waits between them about a minute of no network
FIRST_WAIT_S = 1.0  # doubled each time


def download(*, name: str, revision: str, file: str, size_bytes: int, sha256: str, path: str) -> Mapping[str, str]:
    """Returns once the file is at the path, whole, right and on the disk: `{}`, or why not: `{refused, sentence}`.

    What lies at the path is taken for the file's beginning. It stays when the connection breaks, and goes when the
    whole is not what its hash says.
    """
    try:
        with Path(path).open("ab+") as stream:
            arriving = _Arriving(stream, size_bytes)
            before_bytes = arriving.here_bytes
            _fill(arriving, path_of(name, revision, file), model=name)
            found = arriving.settled()
    except HubRefusal as refusal:
        return {"refused": refusal.refused, "sentence": str(refusal)}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return {"refused": "full", "sentence": f"the disk filled up while {name} was fetched; make room, then go on"}
    if found == sha256:
        return {}
    Path(path).unlink()
    if before_bytes:  # the beginning may have come from elsewhere: what is wrong need not be the hub's
        return download(name=name, revision=revision, file=file, size_bytes=size_bytes, sha256=sha256, path=path)
    sentence = (
        f"{file} of {name} came from the hub damaged, and nothing of it was kept; try again, and if it happens twice "
        f"look for a proxy between here and {endpoint()} that changes files"
    )
    return {"refused": "damaged", "sentence": sentence}


class _Arriving:
    """A file that grows, and the hash of what is in it."""

    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        """What is longer than it may be begins anew."""
        self._stream = stream
        self._digest = hashlib.sha256()
        self.missing_bytes = size_bytes - os.fstat(stream.fileno()).st_size
        if self.missing_bytes < 0:
            stream.truncate(0)
            self.missing_bytes = size_bytes
        self.here_bytes = size_bytes - self.missing_bytes
        stream.seek(0)
        while data := stream.read(CHUNK_BYTES):
            self._digest.update(data)

    def add(self, data: bytes) -> None:
        """Puts the next piece behind what is there, for whoever looks at the file's size, too."""
        self._stream.write(data)
        self._stream.flush()
        self._digest.update(data)
        self.here_bytes += len(data)
        self.missing_bytes -= len(data)

    def settled(self) -> str:
        """The hash, once the file is on the disk itself."""
        flush_to_disk(self._stream.fileno())
        return self._digest.hexdigest()


def _fill(arriving: _Arriving, path: str, *, model: str) -> None:
    """Adds what is missing. Raises HubRefusal when the hub gives no more."""
    tries = 0
    while arriving.missing_bytes:
        before, reason = arriving.here_bytes, "it broke off"
        try:
            with asked(path, model=model, start=before) as answer:
                _take(arriving, answer)
        except Broken as broken:
            reason = str(broken)
        tries = 0 if arriving.here_bytes > before else tries + 1
        if tries == TRIES:
            raise HubRefusal(
                "unreachable",
                f"{model} could not be fetched from {endpoint()} ({reason}); what has come is kept, and the next try "
                "goes on there: check the network",
            )
        if tries:
            time.sleep(FIRST_WAIT_S * 2 ** (tries - 1))


def _take(arriving: _Arriving, answer: Answer) -> None:
    known = 0 if answer.is_part else arriving.here_bytes  # a server without ranges begins at the beginning
    while known and (data := answer.read(min(known, CHUNK_BYTES))):
        known -= len(data)
    while arriving.missing_bytes and (data := answer.read(min(arriving.missing_bytes, CHUNK_BYTES))):
        arriving.add(data)
