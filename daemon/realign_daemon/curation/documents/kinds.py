"""Kind of a source: what its first bytes and its name say, and whether the two agree."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from realign_daemon.curation.documents.document import DocumentError

Kind = Literal["pdf", "text", "markdown"]

READ_KINDS = "PDF (.pdf), plain text (.txt) and Markdown (.md)"
_EXTENSIONS: dict[str, Kind] = {
    ".pdf": "pdf",
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
}
# A PDF's header may follow some junk, as viewers accept it.
_PDF_HEADER_WITHIN = 1024
# First bytes of what people mistake for a readable document.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive, as Word and EPUB files are"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"{\\rtf", "an RTF file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a database"),
)


def kind_of(name: str, data: bytes) -> Kind | DocumentError:
    """How to read the bytes, or why they are not read. `name` is the file name that the person knows."""
    extension = PurePath(name).suffix.lower()
    expected = _EXTENSIONS.get(extension)
    if expected is None:
        called = f"{extension} files are" if extension else "files without an extension are"
        return _error("unsupported", name, f"{called} not read yet, only {READ_KINDS}: convert it to one of these")
    if not data.strip():
        return _error("empty", name, "the file is empty: check that it was saved or downloaded whole")
    found, advice = _described(data), f"use {READ_KINDS}"
    if expected == "pdf":
        found, advice = (None, "") if found == "a PDF" else (found or "something else", "use a real PDF")
    elif found == "a PDF":
        advice = "rename it to .pdf"
    if found is None:
        return expected
    return _error("wrong_extension", name, f"its name ends in {extension} but it is {found}: {advice}")


def _described(data: bytes) -> str | None:
    """What the bytes plainly are; None for what may be text."""
    if b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        return "a PDF"
    known = next((description for signature, description in _SIGNATURES if data.startswith(signature)), None)
    return known or ("binary data or UTF-16 text" if b"\x00" in data[:_PDF_HEADER_WITHIN] else None)


def _error(kind: Literal["unsupported", "empty", "wrong_extension"], name: str, reason: str) -> DocumentError:
    return DocumentError(kind=kind, file=name, message=f"{name} cannot be used: {reason}")
