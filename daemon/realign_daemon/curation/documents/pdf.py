"""PDF: its raw pages and its lines, with headings found in the outline or by the size of their type."""

# pyright: reportUnknownMemberType=false
# pypdfium2 annotates some results only.

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

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
BELOW_TARGET_POINTS = 4.0  # a link leads to just above its heading, or to the foot of the letters of its first line
# Twice the widest blank of justified text; the columns of a table are set further apart.
COLUMN_GAP_EMS = 1.2
# LaTeX leaves it out of the outline unless told otherwise.
_NUMBERING = re.compile(
    r"(?:(?:chapter|section|part|appendix)\s+)?(?:[0-9]{1,3}|[a-z])(?:\.[0-9]{1,3})*[.:)]?\s+(?=\S)"
)
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


class _Entry(NamedTuple):
    """An entry of the outline: its level from 1, the index of its page, and where on it in points from the foot."""

    title: str
    level: int
    page_index: int | None
    top: float | None  # None: the page as a whole


def _outline(pdf: pypdfium2.PdfDocument) -> list[_Entry]:
    """Every entry that leads to a page, in order."""
    return [
        _Entry(bookmark.get_title(), bookmark.level + 1, destination.get_index(), _target_top(destination))
        for bookmark in cast("Iterable[Any]", pdf.get_toc())
        if (destination := bookmark.get_dest()) is not None
    ]


def _target_top(destination: pypdfium2.PdfDest) -> float | None:
    mode, position = cast("tuple[int, list[float]]", destination.get_view())
    place = {pdfium.PDFDEST_VIEW_XYZ: 1, pdfium.PDFDEST_VIEW_FITH: 0, pdfium.PDFDEST_VIEW_FITBH: 0}.get(mode)
    return None if place is None or place >= len(position) or not position[place] else position[place]


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
    """The line with its upper edge, the size of its type, and the places in points where it goes on after wide gaps."""
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
    top = cast("float", textpage.get_charbox(first)[3]) if first >= 0 else 0.0
    return replace(line, font_size=size, columns=tuple(columns), top=top)


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


def _by_outline(pages: Sequence[Sequence[Line]], outline: Sequence[_Entry]) -> list[list[Line]]:
    """Levels from the outline. An entry whose words do not stand on its page heads what stands below its target."""
    headed = [list(page) for page in pages]
    for title, level, index, top in outline:
        words = _words(title)
        if index is None or not 0 <= index < len(headed) or not words:
            continue
        page = headed[index]
        place = _place_of(words, page, top)
        if place is None:
            at = _first_below(page, top)
            start = page[at].start if at < len(page) else page[-1].start + len(page[-1].text) if page else 0
            page.insert(
                at, Line(page=index + 1, start=start, text=title, hyphenated=False, blank_before=True, level=level)
            )
        else:
            first, count = place
            page[first : first + count] = [replace(page[first], text=title.strip(), level=level)]
    return headed


def _place_of(words: str, page: Sequence[Line], top: float | None) -> tuple[int, int] | None:
    """The first line, and how many, that together say these words; where several do, those nearest to the target."""
    found: list[tuple[int, int]] = []
    for first in range(len(page)):
        for count in range(1, MAX_HEADING_LINES + 1):
            lines = page[first : first + count]
            if any(line.level for line in lines) or len(lines) < count:
                break
            said = _words(" ".join(line.text for line in lines))
            if words in (said, _NUMBERING.sub("", said, count=1)):
                found.append((first, count))
    return min(found, key=lambda place: 0.0 if top is None else abs(page[place[0]].top - top), default=None)


def _first_below(page: Sequence[Line], top: float | None) -> int:
    """The index of the first line below a place; after the headings that were put at the page's top where it is all."""
    if top is None:
        return sum(line.level > 0 for line in page[:1])
    return next((at for at, line in enumerate(page) if 0 < line.top <= top + BELOW_TARGET_POINTS), len(page))


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
