"""Reading: what the daemon keeps of a source, and the call that gets it from the worker child.

This module is imported by the daemon's own process, so it must not import a parser; `entry.py` is the other side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import cattrs

from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.document import Chunk, DocumentError, Record

# Replies are kept for ever: a number that is raised whenever files are read in another way leaves the old ones behind.
FUNCTION = "documents.read.2"


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


class Calls(Protocol):
    """What reading needs of a Worker."""

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
        """As Worker.call."""
        ...


async def read_document(
    worker: Calls, path: Path, name: str, chunking: Chunking, *, timeout_s: float
) -> Reading | DocumentError:
    """The file's reading, or why it cannot be used. `name` is what people call it.

    Raises:
        WorkerDied, WorkerTimeout: the file crashed or stalled its parser.
    """
    arguments: dict[str, object] = {"path": str(path), "name": name, "chunking": asdict(chunking)}
    reply = await worker.call(FUNCTION, arguments, timeout_s=timeout_s)
    shape = cast("type[Reading | DocumentError]", Reading | DocumentError)  # cattrs takes unions, its stubs do not
    reading = cattrs.structure(reply, shape)
    if isinstance(reading, Reading) and reading.records:
        return replace(reading, chunks=tuple(record.chunk for record in reading.records))
    return reading
