"""PDF: its raw pages and its lines, with headings found in the outline or by the size of their type."""

# pyright: reportUnknownMemberType=false
# pypdfium2 annotates some results only.

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pypdfium2
import pypdfium2.raw as pdfium

from realign_daemon.curation.documents.document import DocumentError, Page
from realign_daemon.curation.documents.lines import Line, lines_of

# Type this much larger than the body's is a heading: 12.5 over 11 points is the least that typesetters use.
HEADING_SIZE_RATIO = 1.12
MAX_HEADING_CHARACTERS = 120
MAX_HEADING_LINES = 3
# More of the text than this in large type, and size says nothing about headings (slides, posters).
MAX_HEADING_FRACTION = 0.3
MIN_OUTLINE_ENTRIES = 2
# Twice the widest blank of justified text; the columns of a table are set further apart.
COLUMN_GAP_EMS = 1.2
_BLANK = re.compile(r"(?<=\S)\s+(?=\S)")


def read_pdf(path: Path, name: str) -> tuple[tuple[Page, ...], list[list[Line]]] | DocumentError:
    """Raw pages as pypdfium2 gives them, and the lines of each page with heading levels."""
    try:
        with pypdfium2.PdfDocument(path) as pdf:
            pages, lines = _pages_and_lines(pdf)
            outline = _outline(pdf)
    except pypdfium2.PdfiumError as error:
        return _refusal(error, name)
    if not any(page.text.strip() for page in pages):
        return DocumentError(
            kind="scanned",
            file=name,
            message=f"{name} has no text on its {len(pages)} page(s), so it was probably scanned: "
            f"run text recognition over it first (for example ocrmypdf) and use the result",
        )
    headed = _by_outline(lines, outline) if len(outline) >= MIN_OUTLINE_ENTRIES else _by_size(lines)
    return pages, headed


def _outline(pdf: pypdfium2.PdfDocument) -> list[tuple[str, int, int | None]]:
    """Title, level from 1 and page index of every entry that leads to a page."""
    return [
        (bookmark.get_title(), bookmark.level + 1, destination.get_index())
        for bookmark in cast("Iterable[Any]", pdf.get_toc())
        if (destination := bookmark.get_dest()) is not None
    ]


def _pages_and_lines(pdf: pypdfium2.PdfDocument) -> tuple[tuple[Page, ...], list[list[Line]]]:
    pages: list[Page] = []
    lines: list[list[Line]] = []
    for index in range(len(pdf)):
        page = pdf[index]
        textpage = page.get_textpage()
        text = textpage.get_text_range()
        pages.append(Page(number=index + 1, text=text))
        lines.append([_measured(line, textpage) for line in lines_of(text, page=index + 1)])
        textpage.close()
        page.close()
    return tuple(pages), lines


def _measured(line: Line, textpage: pypdfium2.PdfTextPage) -> Line:
    """The line with the size of its type, and the places in points at which it goes on after wide gaps."""
    first = _index_of(textpage, line.start)
    size = round(pdfium.FPDFText_GetFontSize(textpage.raw, first), 1) if first >= 0 else 0.0
    columns: list[float] = []
    for blank in _BLANK.finditer(line.text):
        before = _index_of(textpage, line.start + blank.start() - 1)
        after = _index_of(textpage, line.start + blank.end())
        if before >= 0 and after >= 0:
            left = cast("float", textpage.get_charbox(after)[0])
            if left - cast("float", textpage.get_charbox(before)[2]) > COLUMN_GAP_EMS * size:
                columns.append(left)
    return replace(line, font_size=size, columns=tuple(columns))


def _index_of(textpage: pypdfium2.PdfTextPage, offset: int) -> int:
    # Text and character indices differ where pdfium left out or made up a character.
    return pdfium.FPDFText_GetCharIndexFromTextIndex(textpage.raw, offset)


def _by_size(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Levels from type sizes: the largest is 1."""
    characters = Counter[float]()
    for page in pages:
        for line in page:
            characters[line.font_size] += len(line.text)
    body = characters.most_common(1)[0][0]

    def is_large(line: Line) -> bool:
        return (
            line.font_size >= HEADING_SIZE_RATIO * body
            and len(line.text) <= MAX_HEADING_CHARACTERS
            and any(map(str.isalpha, line.text))
        )

    large = [line for page in pages for line in page if is_large(line)]
    if not body or sum(len(line.text) for line in large) > MAX_HEADING_FRACTION * characters.total():
        return [list(page) for page in pages]
    sizes = sorted({line.font_size for line in large}, reverse=True)
    return [
        [replace(line, level=sizes.index(line.font_size) + 1) if is_large(line) else line for line in page]
        for page in pages
    ]


def _by_outline(pages: Sequence[Sequence[Line]], outline: Sequence[tuple[str, int, int | None]]) -> list[list[Line]]:
    """Levels from the outline. An entry whose words do not stand on its page heads that page from its top."""
    headed = [list(page) for page in pages]
    for title, level, index in outline:
        words = _words(title)
        if index is None or not 0 <= index < len(headed) or not words:
            continue
        page = headed[index]
        place = _place_of(words, page)
        if place is None:
            top = Line(page=index + 1, start=0, text=title, hyphenated=False, blank_before=True, level=level)
            page.insert(sum(line.level > 0 and line.start == 0 for line in page[:1]), top)
        else:
            first, count = place
            page[first : first + count] = [replace(page[first], text=title.strip(), level=level)]
    return headed


def _place_of(words: str, page: Sequence[Line]) -> tuple[int, int] | None:
    """The first line, and how many, that together say these words."""
    for first in range(len(page)):
        for count in range(1, MAX_HEADING_LINES + 1):
            lines = page[first : first + count]
            if not any(line.level for line in lines) and _words(" ".join(line.text for line in lines)) == words:
                return first, count
    return None


def _words(text: str) -> str:
    return " ".join(text.casefold().split())


def _refusal(error: pypdfium2.PdfiumError, name: str) -> DocumentError:
    code = cast("int | None", error.err_code)
    if code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
        return DocumentError(
            kind="encrypted",
            file=name,
            message=f"{name} is encrypted: save a copy without its password and use that",
        )
    return DocumentError(
        kind="damaged",
        file=name,
        message=f"{name} is damaged and cannot be read as a PDF ({error}): export or download it again",
    )
