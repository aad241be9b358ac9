"""Line: a line of raw text with its place, and the raw lines of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass

# pdfium writes a hyphen that ends a line, together with the line end, as one of these.
LINE_END_HYPHENS = "\ufffe\x02"
SOFT_HYPHEN = "\u00ad"  # where a word may be broken; seen only where it is
_LINE = re.compile(rf"[^\r\n{LINE_END_HYPHENS}]+(?P<hyphen>[{LINE_END_HYPHENS}])?")
_COLUMN = re.compile(r"(?<=\S)(?:(?P<tab>\t+)|\s{2,})(?=\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line without the white space around it. `blank_before`: an empty line, or the page's start, precedes it."""

    page: int
    start: int  # offset in the page's raw text
    text: str
    hyphenated: bool  # the raw text says that its last word goes on in the next line
    blank_before: bool
    font_size: float = 0.0  # of its first character, in points; 0 = unknown
    level: int = 0  # heading level from 1; 0 = not a heading
    columns: tuple[float, ...] = ()  # where it goes on after wide gaps: equal in the rows of a table
    in_table: bool = False
    as_written: bool = False  # code: its text begins with its indentation, and its end is kept
    is_note: bool = False  # a footnote: the text of the page goes on before it, on the next page
    top: float = 0.0  # upper edge of its first character, in points from the page's foot; 0 = unknown
    follows_gap: bool = False  # a line that is left out stands before it


def lines_of(text: str, page: int) -> list[Line]:
    """The lines of a page that are not blank, in order."""
    lines: list[Line] = []
    previous_end = 0
    for found in _LINE.finditer(text):
        raw = found.group().rstrip(LINE_END_HYPHENS)
        stripped = raw.strip()
        if not stripped.strip(f" {SOFT_HYPHEN}"):
            continue
        between = text[previous_end : found.start()]
        indent = len(raw) - len(raw.lstrip())
        previous_end = found.end()
        lines.append(
            Line(
                page=page,
                start=found.start() + indent,
                text=stripped,
                hyphenated=found["hyphen"] is not None,
                blank_before=not lines or between.replace("\r\n", "\n").count("\n") > 1,
                columns=_columns(stripped, indent),
            )
        )
    return lines


def _columns(text: str, indent: int) -> tuple[float, ...]:
    """Characters from the line's start; after tabs, whose width nobody knows, the number of the tab below zero."""
    gaps = enumerate(_COLUMN.finditer(text), start=1)
    return tuple(float(-number if gap["tab"] else indent + gap.end()) for number, gap in gaps)
