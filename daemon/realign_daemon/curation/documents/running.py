"""Running lines: the headers, footers and page numbers that repeat at the edges of pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.lines import Line

EDGE_DEPTH = 3  # a running header of more lines has not been seen
MIN_REPEATS = 3  # two pages may begin alike by chance
MIN_REPEAT_FRACTION = 0.05  # a chapter's header repeats on its own pages only: one chapter in twenty
_PAGE_NUMBER = re.compile(
    r"[-\u2013\u2014\s\[(]*(?:page|p\.|seite|s\.)?\s*(?P<number>[0-9]{1,5}|[ivxlc]{1,7})"
    r"(?:\s*(?:of|von|/)\s*[0-9]{1,5})?[-\u2013\u2014\s\])]*",
    re.IGNORECASE,
)
_OUTER_NUMBER = re.compile(r"^[0-9]{1,5}\s+(?=\S)|(?<=\S)\s+[0-9]{1,5}$")


def without_running_lines(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages' lines without what repeats at their edges.

    A line at a page's first or last place goes when it counts the pages, or when the same words (a number beside them
    aside) stand at that edge of several pages; the line next to one that went is looked at the same way. A heading is
    not a repeat of the running header that echoes it. The line after those that went follows a gap, in which no
    paragraph ends.
    """
    kept = [list(page) for page in pages]
    for edge in (0, -1):
        for _ in range(EDGE_DEPTH):
            if not _strip_edge(kept, edge):
                break
    is_gap = False
    for before, page in zip(pages, kept, strict=True):
        if page and (is_gap or page[0] is not before[0]):
            page[0] = replace(page[0], follows_gap=True, blank_before=False)
        is_gap = before[-1] is not page[-1] if page else is_gap or bool(before)
    return kept


def _strip_edge(pages: list[list[Line]], edge: int) -> bool:
    """Removes the running lines that stand at this edge now; whether there were any."""
    outermost = [page[edge] if page else None for page in pages]
    repeats = Counter(_words(line) for line in outermost if line is not None)
    enough = max(MIN_REPEATS, MIN_REPEAT_FRACTION * len(pages))
    numberings = Counter(_numbering(line, number) for number, line in enumerate(outermost) if line is not None)
    any_gone = False
    for number, (page, line) in enumerate(zip(pages, outermost, strict=True)):
        if line is None:
            continue
        numbering = _numbering(line, number)
        is_page_number = numbering is not None and numberings[numbering] >= MIN_REPEATS
        if is_page_number or repeats[_words(line)] >= enough:
            del page[edge]
            any_gone = True
    return any_gone


def _words(line: Line) -> tuple[bool, str]:
    # "Chapter 1" and "Chapter 2" are two headings, while "The Book 1" and "The Book 2" are one running header.
    text = line.text if line.level else _OUTER_NUMBER.sub("", line.text)
    return line.level > 0, " ".join(text.casefold().split())


def _numbering(line: Line, number: int) -> str | None:
    """How far a page number is from the page's own number, as that is the same on many pages; None for other lines."""
    found = None if line.level else _PAGE_NUMBER.fullmatch(line.text)
    if found is None:
        return None
    return str(int(found["number"]) - number) if found["number"].isdecimal() else "roman"
