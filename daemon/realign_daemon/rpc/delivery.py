"""Delivery: what a job has made, in messages of a size that gRPC carries. Every function blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from realign_daemon.work.blobs import CHUNK_BYTES
from realign_proto.v1 import curation_pb2 as pb

PART_CHARACTERS = 256 * 1024  # of questions in one message: 1 MiB at most


def in_parts(questions: Sequence[str]) -> Iterator[Sequence[str]]:
    """The questions in parts of PART_CHARACTERS at most, or of a single one."""
    start, size = 0, 0
    for index, question in enumerate(questions):
        if size and size + len(question) > PART_CHARACTERS:
            yield questions[start:index]
            start, size = index, 0
        size += len(question)
    if start < len(questions):
        yield questions[start:]


def folder_chunks(folder: Path) -> Iterator[pb.FileChunk]:
    """Every file of the folder in pieces; names that begin with a dot are the daemon's own."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        yield from _file_chunks(path, path.relative_to(folder).as_posix())


def _file_chunks(path: Path, name: str) -> Iterator[pb.FileChunk]:
    """The file in pieces; an empty file is one empty piece."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = file.tell()
        file.seek(0)
        yield pb.FileChunk(path=name, size_bytes=size_bytes, sha256=sha256, data=file.read(CHUNK_BYTES))
        while data := file.read(CHUNK_BYTES):
            yield pb.FileChunk(path=name, size_bytes=size_bytes, sha256=sha256, data=data)
