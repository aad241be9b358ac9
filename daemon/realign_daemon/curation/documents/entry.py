"""Entry: what the worker child runs when the daemon wants a document read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cattrs

from realign_daemon.curation.documents.chunks import Chunking, chunks_of, records_of
from realign_daemon.curation.documents.document import Chunk, Document, DocumentError, Record
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.reading import Reading

ITEM_OVERHEAD_BYTES = 400  # names and hashes of a chunk

Item = Chunk | Record
Pieces = tuple[tuple[Item, ...], ...]

# What is still to be asked for of the document that was read last, so that it need not be read again.
_waiting: dict[tuple[str, str, Chunking], Pieces] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many bytes of text there may be.

    A message holds 64 MiB, and the daemon answers nobody else while it takes one apart: a tenth of a second for 8 MiB.
    """

    piece_bytes: int = 8 * 1024 * 1024
    record_bytes: int = 48 * 1024 * 1024  # it is never cut
    source_bytes: int = 256 * 1024 * 1024  # a minute or two of parsing; and the home holds all text of a running job


def read(path: str, name: str, chunking: dict[str, object]) -> dict[str, object]:
    """A Reading with the first piece of its chunks or records and the number of pieces, or a DocumentError.

    The chunks of records are in the records only.
    """
    _waiting.clear()
    how = cattrs.structure(chunking, Chunking)
    document = extract(Path(path), name)
    pieces = document if isinstance(document, DocumentError) else pieces_of(document, how)
    if isinstance(document, DocumentError) or isinstance(pieces, DocumentError):
        return cast("dict[str, object]", cattrs.unstructure(pieces))
    first, *others = pieces
    if others:
        _waiting[path, name, how] = pieces
    facts = cast("dict[str, object]", cattrs.unstructure(_facts(document)))
    return {**facts, **_plain(first), "pieces": len(pieces)}


def piece(path: str, name: str, chunking: dict[str, object], number: int) -> dict[str, object]:
    """The chunks and records of a piece, from 0, of a document that `read` has read."""
    how = cattrs.structure(chunking, Chunking)
    pieces = _waiting.pop((path, name, how), None)
    if pieces is None:  # this child did not read it
        document = extract(Path(path), name)
        pieces = document if isinstance(document, DocumentError) else pieces_of(document, how)
        assert not isinstance(pieces, DocumentError), "only what could be read is asked for in pieces"
    if number + 1 < len(pieces):
        _waiting[path, name, how] = pieces
    return _plain(pieces[number])


def pieces_of(document: Document, chunking: Chunking, limits: Limits = Limits()) -> Pieces | DocumentError:
    """The records of the document, or else its chunks, in pieces that a message can hold; at least one."""
    items = records_of(document) or chunks_of(document, chunking)
    pieces: list[list[Item]] = [[]]
    total_bytes = piece_bytes = 0
    for item in items:
        size_bytes = _size(item)
        if size_bytes > limits.record_bytes:
            return _too_large(document, f"record {item.line}", size_bytes, limits.record_bytes, "split that record")
        if pieces[-1] and piece_bytes + size_bytes > limits.piece_bytes:
            pieces.append([])
            piece_bytes = 0
        pieces[-1].append(item)
        piece_bytes += size_bytes
        total_bytes += size_bytes
    if total_bytes > limits.source_bytes:
        return _too_large(document, "it", total_bytes, limits.source_bytes, "split it into several files")
    return tuple(tuple(one) for one in pieces)


def _size(item: Item) -> int:
    chunk = item.chunk if isinstance(item, Record) else item
    fields = item.fields if isinstance(item, Record) else {}
    return sum(len(text.encode()) for text in (chunk.text, *fields, *fields.values())) + ITEM_OVERHEAD_BYTES


def _too_large(document: Document, what: str, size_bytes: int, limit_bytes: int, remedy: str) -> DocumentError:
    size, limit = -(-size_bytes // 2**20), limit_bytes // 2**20
    message = f"{document.name} cannot be used: {what} holds {size} MiB of text, and {limit} MiB is the limit: {remedy}"
    return DocumentError(kind="unsupported", file=document.name, message=message)


def _plain(items: Sequence[Item]) -> dict[str, object]:
    return {
        "chunks": cattrs.unstructure([item for item in items if isinstance(item, Chunk)]),
        "records": cattrs.unstructure([item for item in items if isinstance(item, Record)]),
    }


def _facts(document: Document) -> Reading:
    return Reading(
        name=document.name,
        sha256=document.sha256,
        page_count=len(document.pages),
        pages_without_text=document.pages_without_text,
        sections=tuple(section.title for section in document.sections),
        characters=sum(len(block.text) for block in document.blocks),
        text_ratio=document.text_ratio,
        language=document.language,
        chunks=(),
        tables=document.tables,
        formulas=document.formulas,
        bad_lines=document.bad_lines,
    )
