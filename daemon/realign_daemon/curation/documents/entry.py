"""Entry: what the worker child runs when the daemon wants a document read."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cattrs

from realign_daemon.curation.documents.chunks import Chunking, chunks_of, records_of
from realign_daemon.curation.documents.document import Document, DocumentError
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.reading import Reading

# What one frame of the worker's pipe holds is 64 MiB; names and hashes take about so many bytes a chunk.
MAX_READING_BYTES = 60 * 1024 * 1024
CHUNK_OVERHEAD_BYTES = 400


def read(path: str, name: str, chunking: dict[str, object]) -> dict[str, object]:
    """A Reading or a DocumentError as plain data. The chunks of records are in the records only."""
    document = extract(Path(path), name)
    result = (
        document if isinstance(document, DocumentError) else _reading(document, cattrs.structure(chunking, Chunking))
    )
    return cast("dict[str, object]", cattrs.unstructure(result))


def _reading(document: Document, chunking: Chunking) -> Reading | DocumentError:
    records = records_of(document)
    chunks = () if records else chunks_of(document, chunking)
    texts = [chunk.text for chunk in chunks] + [
        text for record in records for text in (record.chunk.text, *record.fields, *record.fields.values())
    ]
    size_bytes = sum(len(text.encode()) for text in texts) + CHUNK_OVERHEAD_BYTES * (len(chunks) + len(records))
    if size_bytes > MAX_READING_BYTES:
        limit = MAX_READING_BYTES // (1024 * 1024)
        message = f"{document.name} holds more text than a source may ({limit} MiB): split it into several files"
        return DocumentError(kind="unsupported", file=document.name, message=message)
    return Reading(
        name=document.name,
        sha256=document.sha256,
        page_count=len(document.pages),
        pages_without_text=document.pages_without_text,
        sections=tuple(section.title for section in document.sections),
        characters=sum(len(block.text) for block in document.blocks),
        text_ratio=document.text_ratio,
        language=document.language,
        chunks=chunks,
        records=records,
        tables=document.tables,
        formulas=document.formulas,
    )
