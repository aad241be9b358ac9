"""Table: lines that are the rows of one, told by Markdown's delimiter row or by columns that stand under each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from realign_daemon.curation.documents.lines import Line

MIN_ROWS = 3  # two lines may have a wide gap at the same place by chance
ALIGNED_WITHIN = 2.0  # points or characters: rounding, and figures set flush right
_DELIMITER = re.compile(r"(?=.*\|)\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")


def with_tables(pages: Sequence[Sequence[Line]]) -> tuple[list[list[Line]], int]:
    """The pages' lines with the rows of tables marked as such, and the number of tables."""
    marked = [list(page) for page in pages]
    count = 0
    for page in marked:
        for start, end in _tables(page):
            page[start:end] = [replace(line, in_table=True) for line in page[start:end]]
            count += 1
    return marked, count


def _tables(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(lines):
        end = _piped(lines, start) or _aligned(lines, start)
        if end:
            yield start, end
        start = end or start + 1


def _piped(lines: Sequence[Line], start: int) -> int | None:
    """Where a Markdown table that begins here ends; None when none does."""
    if "|" not in lines[start].text or start + 1 == len(lines) or not _DELIMITER.fullmatch(lines[start + 1].text):
        return None
    end = start + 2
    while end < len(lines) and "|" in lines[end].text and not lines[end].blank_before:
        end += 1
    return end


def _aligned(lines: Sequence[Line], start: int) -> int | None:
    """Where a table of aligned columns that begins here ends; None when none does."""
    end = start + 1
    while end < len(lines) and _share_a_column(lines[end - 1], lines[end]):
        end += 1
    return end if end - start >= MIN_ROWS else None


def _share_a_column(line: Line, other: Line) -> bool:
    return any(abs(a - b) <= (ALIGNED_WITHIN if a > 0 else 0) for a in line.columns for b in other.columns)
