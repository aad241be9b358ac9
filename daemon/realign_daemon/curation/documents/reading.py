"""Reading: what the daemon keeps of a source, and the calls that get it from the worker child.

This module is imported by the daemon's own process, so it must not import a parser; `entry.py` is the other side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import cattrs

from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.document import BadLine, Chunk, DocumentError, Record

# Replies are kept for ever: a number that is raised whenever files are read in another way leaves the old ones behind.
READ = "documents.read.4"
PIECE = "documents.piece.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A source's facts and its chunks. `sections` are the titles in reading order.

    A file of records with fields (problems, questions and answers, pairs, chats) has one chunk a record, in `records`
    as in `chunks`; any other source has no records.
    """

    name: str
    sha256: str
    page_count: int
    pages_without_text: tuple[int, ...]
    sections: tuple[str, ...]
    characters: int  # of the kept text
    text_ratio: float  # 0..1, see document.py
    language: str
    chunks: tuple[Chunk, ...]
    records: tuple[Record, ...] = ()
    tables: int = 0
    formulas: int = 0
    bad_lines: tuple[BadLine, ...] = ()  # of a file of records; they are in nothing else here

    @property
    def warning(self) -> str:
        """What a person must know of the source though it is of use; empty where there is nothing."""
        if not self.bad_lines:
            return ""
        first, lines = self.bad_lines[0], self.page_count + len(self.bad_lines)
        return (
            f"{len(self.bad_lines)} of {lines} lines of {self.name} are left out because they are no JSON objects; "
            f"line {first.line} {first.why}; rejected.jsonl names all of them"
        )


class Calls(Protocol):
    """What reading needs of a Worker."""

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
        """As Worker.call."""
        ...


async def read_document(
    worker: Calls, path: Path, name: str, chunking: Chunking, *, timeout_s: float
) -> Reading | DocumentError:
    """The file's reading, or why it cannot be used. `name` is what people call it; the deadline is that of each call.

    A long text comes in pieces of some MiB, so that no message is too long and the daemon can do other things between.

    Raises:
        WorkerError: the file crashed or stalled its parser.
    """
    arguments: dict[str, object] = {"path": str(path), "name": name, "chunking": asdict(chunking)}
    reply = cast("dict[str, Any]", await worker.call(READ, arguments, timeout_s=timeout_s))
    shape = cast("type[Reading | DocumentError]", Reading | DocumentError)  # cattrs takes unions, its stubs do not
    reading = cattrs.structure(reply, shape)
    if isinstance(reading, DocumentError):
        return reading
    chunks, records = list(reading.chunks), list(reading.records)
    for number in range(1, reply["pieces"]):
        piece = cast("dict[str, Any]", await worker.call(PIECE, {**arguments, "number": number}, timeout_s=timeout_s))
        chunks += cattrs.structure(piece["chunks"], list[Chunk])
        records += cattrs.structure(piece["records"], list[Record])
    return replace(reading, chunks=tuple(chunks or (record.chunk for record in records)), records=tuple(records))
