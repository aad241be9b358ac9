"""Plain text and Markdown: one page of text and its lines, with headings where the text shows them."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.decoding import decode_utf8
from realign_daemon.curation.documents.document import DocumentError, Page
from realign_daemon.curation.documents.lines import Line, lines_of

_ATX_HEADING = re.compile(r"(?P<marks>#{1,6})\s+(?P<title>.*?)\s*#*")
_UNDERLINE = re.compile(r"=+|-{3,}")
_FORM_FEED = re.compile("\f")
_FENCE = re.compile(r"```|~~~")
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
    lines = lines_of(text, page=1)
    headed = _markdown_headings(lines) if markdown else chapter_headings(lines)
    feeds = [feed.start() for feed in _FORM_FEED.finditer(text)]
    sheets: list[list[Line]] = [[] for _ in range(len(feeds) + 1)]
    for line in headed:
        sheets[bisect(feeds, line.start)].append(line)
    return (Page(number=1, text=text),), sheets


def _markdown_headings(lines: Sequence[Line]) -> list[Line]:
    headed: list[Line] = []
    in_code = False
    for line in lines:
        if _FENCE.match(line.text):
            in_code = not in_code
        atx = None if in_code else _ATX_HEADING.fullmatch(line.text)
        if atx is not None and atx["title"]:
            start = line.start + atx.start("title")
            headed.append(replace(line, start=start, text=atx["title"], level=len(atx["marks"])))
        elif not in_code and not line.blank_before and _UNDERLINE.fullmatch(line.text) and headed[-1].blank_before:
            headed[-1] = replace(headed[-1], level=1 if line.text[0] == "=" else 2)
        else:
            headed.append(line)
    return headed


def chapter_headings(lines: Sequence[Line]) -> list[Line]:
    """A line of its own that begins like `Chapter 3` is a heading; plain text shows no other."""
    alone = [*(line.blank_before for line in lines[1:]), True]
    return [
        replace(line, level=1) if ends and line.blank_before and _CHAPTER.fullmatch(line.text) else line
        for line, ends in zip(lines, alone, strict=False)  # one more end than there are no lines
    ]
