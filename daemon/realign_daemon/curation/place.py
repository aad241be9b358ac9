"""Place: where in a source something stands, for the provenance of rows and for the lines of what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from realign_daemon.curation.documents.document import Chunk


def place(chunk: Chunk) -> dict[str, Any]:
    """Where a chunk stands: its source, its spans, and the text that anybody finds there."""
    return {
        "source": {"name": chunk.source, "sha256": chunk.source_sha256, "section": chunk.section},
        "line": chunk.line,
        "spans": [{"page": span.page, "start": span.start, "end": span.end} for span in chunk.spans],
        "quote": chunk.text,
    }


def spot(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of a place, or of a provenance, which begins with one, is told in short: all but the text and the hash."""
    source: Mapping[str, Any] = found.get("source") or {}
    spans: list[dict[str, int]] = found.get("spans") or []
    return {
        **({"source": source["name"], "section": source.get("section", "")} if source else {}),
        **({"page": spans[0]["page"], "spans": spans} if spans else {}),
        **({"line": found["line"]} if found.get("line") is not None else {}),
    }
