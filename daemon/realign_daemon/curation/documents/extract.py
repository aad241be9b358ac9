"""Extraction: a file on disk to a Document. Runs in the worker child, never in the daemon's own process."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, assert_never, cast

import py3langid

from realign_daemon.curation.documents.contents import Contents
from realign_daemon.curation.documents.decoding import decode_markup
from realign_daemon.curation.documents.document import BadLine, Document, DocumentError, Kind, Page
from realign_daemon.curation.documents.epub import read_epub
from realign_daemon.curation.documents.formulas import formulas_in
from realign_daemon.curation.documents.hypertext import flow_of, numbered
from realign_daemon.curation.documents.jsonlines import read_jsonl
from realign_daemon.curation.documents.kinds import kind_of
from realign_daemon.curation.documents.lines import Line
from realign_daemon.curation.documents.notes import with_notes
from realign_daemon.curation.documents.paragraphs import sections_and_blocks
from realign_daemon.curation.documents.pdf import read_pdf
from realign_daemon.curation.documents.plaintext import read_text
from realign_daemon.curation.documents.records import Numbered, contents_of
from realign_daemon.curation.documents.running import without_running_lines
from realign_daemon.curation.documents.tables import with_tables

# Enough for a sure guess (one page is), and 10 ms of work.
LANGUAGE_SAMPLE_CHARACTERS = 20_000
_NOT_TEXT: Final[dict[Kind, str]] = {
    "html": "headings, navigation, forms and what is hidden",
    "jsonl": "empty fields",
    "parquet": "empty fields",
}


def extract(path: Path, name: str) -> Document | DocumentError:
    """The text of a file of any kind that is read, or why it cannot be used. `name` is what people call the file.

    Of files in lines, line-end hyphens are resolved and running headers, footers and page numbers left out of the
    blocks; the raw pages stay as they are, so every offset holds there (see document.py).
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
    contents = _contents(kind, path, data, name)
    if isinstance(contents, DocumentError):
        return contents
    if not contents.blocks:
        message = f"{name} cannot be used: it holds no text besides {_NOT_TEXT.get(kind, 'headings and page numbers')}"
        return DocumentError(kind="empty", file=name, message=message)
    kept = "\n".join(block.text for block in contents.blocks)
    return Document(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        pages=contents.pages,
        sections=contents.sections,
        blocks=contents.blocks,
        text_ratio=text_ratio(kept),
        language=_language(kept),
        kind=kind,
        tables=contents.tables,
        formulas=sum(block.formulas + formulas_in(block.text) for block in contents.blocks),
        pictures=contents.pictures,
        fields=contents.fields,
        bad_lines=contents.bad_lines,
    )


def _contents(kind: Kind, path: Path, data: bytes, name: str) -> Contents | DocumentError:
    match kind:
        case "pdf":
            return _of_lines(read_pdf(path, name))
        case "text" | "markdown":
            return _of_lines(read_text(data, name, markdown=kind == "markdown"))
        case "html":
            return _of_markup(decode_markup(data, name))
        case "epub":
            return read_epub(data, name)
        case "jsonl":
            return _of_lines_of_json(read_jsonl(data, name))
        case "parquet":
            # It loads pyarrow, which takes 0.2 s and 50 MB that no other kind needs.
            from realign_daemon.curation.documents.parquet import read_parquet

            return _of_records(read_parquet(data, name))
        case _:
            assert_never(kind)


def _of_lines(read: tuple[tuple[Page, ...], list[list[Line]]] | DocumentError) -> Contents | DocumentError:
    if isinstance(read, DocumentError):
        return read
    pages, sheets = read
    lines, tables = with_tables(with_notes(without_running_lines(sheets)))
    sections, blocks = sections_and_blocks(lines)
    return Contents(pages=pages, sections=sections, blocks=blocks, tables=tables)


def _of_markup(text: str | DocumentError) -> Contents | DocumentError:
    if isinstance(text, DocumentError):
        return text
    flow = flow_of(text, page=1)
    sections, blocks = numbered(flow.items)
    return Contents(pages=(Page(number=1, text=text),), sections=sections, blocks=blocks, tables=flow.tables)


def _of_lines_of_json(
    read: tuple[tuple[Numbered, ...], tuple[BadLine, ...]] | DocumentError,
) -> Contents | DocumentError:
    return read if isinstance(read, DocumentError) else replace(contents_of(read[0]), bad_lines=read[1])


def _of_records(records: tuple[Numbered, ...] | DocumentError) -> Contents | DocumentError:
    return records if isinstance(records, DocumentError) else contents_of(records)


def text_ratio(text: str) -> float:
    """The share of letters, marks, digits and white space in the text (0..1); 0 for none.

    Punctuation counts against it on purpose: a PDF whose fonts map to the wrong characters reads as punctuation,
    control characters and U+FFFD, while prose has about 3 % of it.
    """
    characters = Counter(text)
    return sum(count for one, count in characters.items() if _is_text(one)) / len(text) if text else 0.0


def _is_text(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] in "LMN"


def _language(text: str) -> str:
    # The middle of a book is its text; its start may be a title page in Latin.
    start = max(0, (len(text) - LANGUAGE_SAMPLE_CHARACTERS) // 2)
    classify = cast("Callable[[str], tuple[str, float]]", py3langid.classify)  # pyright: ignore[reportUnknownMemberType]
    return classify(text[start : start + LANGUAGE_SAMPLE_CHARACTERS])[0]
