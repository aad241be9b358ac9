"""Running lines: the headers, footers and page numbers that repeat at the edges of pages."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.lines import Line

EDGE_DEPTH = 3  # a running header of more lines has not been seen
MIN_REPEATS = 3  # two pages may begin alike by chance
MIN_REPEAT_FRACTION = 0.05  # of all pages; or else
NEAR_PAGES = 6  # three times within so many pages: a short chapter's header, on right-hand pages only
MIN_COUNTED = 5  # pages whose edge has words and the page's number: three titles may be numbered as their pages are
MIN_COUNTED_FRACTION = 0.2
_PAGE_NUMBER = re.compile(
    r"[-\u2013\u2014\s\[(]*(?:page|p\.|seite|s\.)?\s*(?P<number>[0-9]{1,5}|[ivxlc]{1,7})"
    r"(?:\s*(?:of|von|/)\s*[0-9]{1,5})?[-\u2013\u2014\s\])]*",
    re.IGNORECASE,
)
_OUTER_NUMBER = re.compile(r"^(?P<first>[0-9]{1,5})\s+(?=\S)|(?<=\S)\s+(?P<last>[0-9]{1,5})$")


def without_running_lines(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages' lines without what repeats at their edges.

    A line at a page's first or last place goes when it counts the pages, alone or beside other words, when the same
    words (a number beside them aside) stand at that edge of several pages, or when they are those of a heading; the
    line next to one that went is looked at the same way. A heading goes only when it repeats itself. The line after
    those that went follows a gap, in which no paragraph ends.
    """
    kept = [list(page) for page in pages]
    titles = frozenset(_plain(line.text) for page in pages for line in page if line.level)
    for edge in (0, -1):
        for _ in range(EDGE_DEPTH):
            if not _strip_edge(kept, edge, titles if len(pages) >= MIN_REPEATS else frozenset()):
                break
    is_gap = False
    for before, page in zip(pages, kept, strict=True):
        if page and (is_gap or page[0] is not before[0]):
            page[0] = replace(page[0], follows_gap=True, blank_before=False)
        is_gap = before[-1] is not page[-1] if page else is_gap or bool(before)
    return kept


def _strip_edge(pages: list[list[Line]], edge: int, titles: frozenset[str]) -> bool:
    """Removes the running lines that stand at this edge now; whether there were any."""
    outermost = [page[edge] if page else None for page in pages]
    places: dict[tuple[bool, str], list[int]] = defaultdict(list)
    numberings, beside = Counter[str | None](), Counter[int]()
    for number, line in enumerate(outermost):
        if line is not None:
            places[_words(line)].append(number)
            numberings[_numbering(line, number)] += 1
            beside.update(_beside(line, number))
    running = {words for words, found in places.items() if _repeats(found, len(pages))}
    enough = max(MIN_COUNTED, MIN_COUNTED_FRACTION * len(pages))
    counted = {offset for offset, count in beside.items() if count >= enough}
    any_gone = False
    for number, (page, line) in enumerate(zip(pages, outermost, strict=True)):
        if line is None:
            continue
        numbering = _numbering(line, number)
        is_page_number = numbering is not None and numberings[numbering] >= MIN_REPEATS
        is_echo = not line.level and not titles.isdisjoint((_words(line)[1], _plain(line.text)))
        if is_page_number or is_echo or _words(line) in running or counted & _beside(line, number):
            del page[edge]
            any_gone = True
    return any_gone


def _repeats(places: Sequence[int], page_count: int) -> bool:
    """Whether a line that stands at the edge of these pages is a running one."""
    return len(places) >= max(MIN_REPEATS, MIN_REPEAT_FRACTION * page_count) or any(
        last - first <= NEAR_PAGES for first, last in zip(places, places[MIN_REPEATS - 1 :], strict=False)
    )


def _words(line: Line) -> tuple[bool, str]:
    # "Chapter 1" and "Chapter 2" are two headings, while "The Book 1" and "The Book 2" are one running header.
    return line.level > 0, _plain(line.text if line.level else _OUTER_NUMBER.sub("", line.text))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _beside(line: Line, number: int) -> set[int]:
    """How far the numbers that stand beside a line's words are from the page's own."""
    found = () if line.level else _OUTER_NUMBER.finditer(line.text)
    return {int(one["first"] or one["last"]) - number for one in found}


def _numbering(line: Line, number: int) -> str | None:
    """How far a page number is from the page's own number, as that is the same on many pages; None for other lines."""
    found = None if line.level else _PAGE_NUMBER.fullmatch(line.text)
    if found is None:
        return None
    return str(int(found["number"]) - number) if found["number"].isdecimal() else "roman"
