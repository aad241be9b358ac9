"""Extraction: a file on disk to a Document. Runs in the worker child, never in the daemon's own process."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import cast

import py3langid

from realign_daemon.curation.documents.document import Document, DocumentError
from realign_daemon.curation.documents.kinds import kind_of
from realign_daemon.curation.documents.paragraphs import sections_and_blocks
from realign_daemon.curation.documents.pdf import read_pdf
from realign_daemon.curation.documents.plaintext import read_text
from realign_daemon.curation.documents.running import without_running_lines

# Enough for a sure guess (one page is), and 10 ms of work.
LANGUAGE_SAMPLE_CHARACTERS = 20_000


def extract(path: Path, name: str) -> Document | DocumentError:
    """The text of a PDF, plain text or Markdown file, or why it cannot be used.

    Line-end hyphens are resolved and running headers, footers and page numbers left out of the blocks; the raw pages
    stay as they are, so every offset holds there (see document.py). `name` is what people call the file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return DocumentError(kind="missing", file=name, message=f"{name} does not exist: check its path")
    except OSError as error:
        return DocumentError(kind="missing", file=name, message=f"{name} cannot be read: {error.strerror}")
    kind = kind_of(name, data)
    if isinstance(kind, DocumentError):
        return kind
    read = read_pdf(path, name) if kind == "pdf" else read_text(data, name, markdown=kind == "markdown")
    if isinstance(read, DocumentError):
        return read
    pages, lines = read
    sections, blocks = sections_and_blocks(without_running_lines(lines))
    if not blocks:
        message = f"{name} cannot be used: it holds headings and page numbers but no text"
        return DocumentError(kind="empty", file=name, message=message)
    kept = "\n".join(block.text for block in blocks)
    return Document(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        pages=pages,
        sections=sections,
        blocks=blocks,
        text_ratio=text_ratio(kept),
        language=_language(kept),
    )


def text_ratio(text: str) -> float:
    """The share of letters, marks, digits and white space in the text (0..1); 0 for none.

    Punctuation counts against it on purpose: a PDF whose fonts map to the wrong characters reads as punctuation,
    control characters and U+FFFD, while prose has about 3 % of it.
    """
    return sum(_is_text(character) for character in text) / len(text) if text else 0.0


def _is_text(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] in "LMN"


def _language(text: str) -> str:
    # The middle of a book is its text; its start may be a title page in Latin.
    start = max(0, (len(text) - LANGUAGE_SAMPLE_CHARACTERS) // 2)
    classify = cast("Callable[[str], tuple[str, float]]", py3langid.classify)  # pyright: ignore[reportUnknownMemberType]
    return classify(text[start : start + LANGUAGE_SAMPLE_CHARACTERS])[0]
