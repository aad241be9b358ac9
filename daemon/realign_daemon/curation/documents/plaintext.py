"""Plain text and Markdown: one page of text and its lines, with headings where the text shows them."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.decoding import decode_utf8
from realign_daemon.curation.documents.document import DocumentError, Page
from realign_daemon.curation.documents.lines import Line, lines_of
from realign_daemon.curation.documents.markdown import markdown_lines

_FORM_FEED = re.compile("\f")
_CHAPTER = re.compile(
    r"(?:chapter|part|book|section|appendix)\s+(?:[0-9]{1,3}|[ivxlc]{1,7}|[a-z])\b.{0,80}", re.IGNORECASE
)


def read_text(data: bytes, name: str, *, markdown: bool) -> tuple[tuple[Page, ...], list[list[Line]]] | DocumentError:
    """The file as page 1, decoded as UTF-8 without a byte order mark, and its lines with heading levels.

    The lines come sheet by sheet, as form feeds part them where text was taken from printed pages.
    """
    text = decode_utf8(data, name)
    if isinstance(text, DocumentError):
        return text
    headed = markdown_lines(text) if markdown else chapter_headings(lines_of(text, page=1))
    feeds = [feed.start() for feed in _FORM_FEED.finditer(text)]
    sheets: list[list[Line]] = [[] for _ in range(len(feeds) + 1)]
    for line in headed:
        sheets[bisect(feeds, line.start)].append(line)
    return (Page(number=1, text=text),), sheets


def chapter_headings(lines: Sequence[Line]) -> list[Line]:
    """A line of its own that begins like `Chapter 3` is a heading; plain text shows no other."""
    alone = [*(line.blank_before for line in lines[1:]), True]
    return [
        replace(line, level=1) if ends and line.blank_before and _CHAPTER.fullmatch(line.text) else line
        for line, ends in zip(lines, alone, strict=False)  # one more end than there are no lines
    ]
