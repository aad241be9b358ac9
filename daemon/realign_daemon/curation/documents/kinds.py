"""Kind of a source: what its first bytes and its name say, and whether the two agree."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePath
from typing import Final, Literal

from realign_daemon.curation.documents.document import DocumentError, Kind

READ_KINDS = (
    "PDF (.pdf), plain text (.txt), Markdown (.md), EPUB (.epub), HTML (.html), JSON lines (.jsonl) "
    "and Parquet (.parquet)"
)
_EXTENSIONS: Final[dict[str, Kind]] = {
    ".pdf": "pdf",
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".epub": "epub",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
# What to make of files that are not read.
_WAYS_OUT: Final[dict[str, str]] = {
    ".docx .doc .odt .rtf .pages": "save it as PDF or HTML",
    ".pptx .ppt .odp .key .tex .djvu .ps": "export it as PDF",
    ".xlsx .xls .ods .csv .tsv": "write each row as a JSON object on a line of a .jsonl file",
    ".json": "write one object per line into a .jsonl file, without the brackets and commas of an array",
    ".mobi .azw .azw3 .fb2": "convert it to EPUB",
    ".gz .zip .bz2 .xz .zst .7z .rar .tar .tgz": "unpack it and use what is inside",
    ".png .jpg .jpeg .tif .tiff .webp": "run text recognition over it (for example ocrmypdf) and use the PDF",
}
# A PDF's header may follow some junk, as viewers accept it.
_PDF_HEADER_WITHIN = 1024
_BINARY_WITHIN = 1024
_BINARY: Final = "binary data or UTF-16 text"
# First bytes of what people mistake for a readable document.
_SIGNATURES: Final = (
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"{\\rtf", "an RTF file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3", "a database"),
)
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!doctype html|<html)\b", re.IGNORECASE)
_KNOWN: Final[dict[str, Kind]] = {
    "a PDF": "pdf",
    "an EPUB": "epub",
    "a Parquet file": "parquet",
    "an HTML page": "html",
}
_BY_BYTES: Final[dict[Kind, str]] = {"pdf": "PDF", "epub": "EPUB", "parquet": "Parquet file"}


def kind_of(name: str, data: bytes) -> Kind | DocumentError:
    """How to read the bytes, or why they are not read. `name` is the file name that the person knows."""
    extension = PurePath(name).suffix.lower()
    expected = _EXTENSIONS.get(extension)
    if expected is None:
        called = f"{extension} files are" if extension else "files without an extension are"
        way_out = next((way for endings, way in _WAYS_OUT.items() if extension in endings.split()), "")
        return _error(
            "unsupported", name, f"{called} not read, only {READ_KINDS}: {way_out or 'convert it to one of these'}"
        )
    if not data.strip():
        return _error("empty", name, "the file is empty: check that it was saved or downloaded whole")
    if expected == "parquet" and data.startswith(b"PARE"):
        return _error("encrypted", name, "it is encrypted: write a copy without encryption and use that")
    found = _described(data, pdf_within=_PDF_HEADER_WITHIN if expected == "pdf" else 0)
    if _KNOWN.get(found) == expected or (not found and expected not in _BY_BYTES):
        return expected
    if expected == "html" and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return expected
    reason = f"its name ends in {extension} but it is {found or 'something else'}"
    return _error("wrong_extension", name, f"{reason}: {_advice(found, expected)}")


def _advice(found: str, expected: Kind) -> str:
    if found in _KNOWN:
        return f"rename it to .{_KNOWN[found]}"
    if found == "a gzip archive":
        return "unpack it and use what is inside"
    if expected in _BY_BYTES:
        return f"use a real {_BY_BYTES[expected]}"
    return "save it as UTF-8 if it is text" if found == _BINARY else f"use {READ_KINDS}"


def _described(data: bytes, *, pdf_within: int) -> str:
    """What the bytes plainly are; empty for what may be text."""
    if data.startswith(b"%PDF-") or b"%PDF-" in data[:pdf_within]:
        return "a PDF"
    if data.startswith(b"PK\x03\x04"):
        return _archive(data)
    if data.startswith(b"PAR1"):
        return "a Parquet file"
    if _HTML.match(data):
        return "an HTML page"
    known = next((description for signature, description in _SIGNATURES if data.startswith(signature)), "")
    return known or (_BINARY if b"\x00" in data[:_BINARY_WITHIN] else "")


def _archive(data: bytes) -> str:
    # The names of an archive's files stand in it as they are.
    if b"META-INF/container.xml" in data:
        return "an EPUB"
    return "an Office file" if b"[Content_Types].xml" in data else "a zip archive, as Word and EPUB files are"


def _error(
    kind: Literal["unsupported", "empty", "encrypted", "wrong_extension"], name: str, reason: str
) -> DocumentError:
    return DocumentError(kind=kind, file=name, message=f"{name} cannot be used: {reason}")
