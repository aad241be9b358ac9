"""Line: a line of raw text with its place, and the raw lines of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass

# pdfium writes a hyphen that ends a line, together with the line end, as one of these.
LINE_END_HYPHENS = "\ufffe\x02"
_LINE = re.compile(rf"[^\r\n{LINE_END_HYPHENS}]+(?P<hyphen>[{LINE_END_HYPHENS}])?")


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


def lines_of(text: str, page: int) -> list[Line]:
    """The lines of a page that are not blank, in order."""
    lines: list[Line] = []
    previous_end = 0
    for found in _LINE.finditer(text):
        raw = found.group().rstrip(LINE_END_HYPHENS)
        stripped = raw.strip()
        if not stripped:
            continue
        between = text[previous_end : found.start()]
        previous_end = found.end()
        lines.append(
            Line(
                page=page,
                start=found.start() + len(raw) - len(raw.lstrip()),
                text=stripped,
                hyphenated=found["hyphen"] is not None,
                blank_before=not lines or between.replace("\r\n", "\n").count("\n") > 1,
            )
        )
    return lines
