"""Entry: what the worker child runs when the daemon wants a document read."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cattrs

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import DocumentError
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.reading import Reading


def read(path: str, name: str, chunking: dict[str, object]) -> dict[str, object]:
    """A Reading or a DocumentError as plain data."""
    document = extract(Path(path), name)
    result = document
    if not isinstance(document, DocumentError):
        result = Reading(
            name=document.name,
            sha256=document.sha256,
            page_count=len(document.pages),
            pages_without_text=document.pages_without_text,
            sections=tuple(section.title for section in document.sections),
            characters=sum(len(block.text) for block in document.blocks),
            text_ratio=document.text_ratio,
            language=document.language,
            chunks=chunks_of(document, cattrs.structure(chunking, Chunking)),
        )
    return cast("dict[str, object]", cattrs.unstructure(result))
