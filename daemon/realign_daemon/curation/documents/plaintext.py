"""Plain text and Markdown: one page of text and its lines, with headings where the text shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.document import DocumentError, Page
from realign_daemon.curation.documents.lines import Line, lines_of

_ATX_HEADING = re.compile(r"(?P<marks>#{1,6})\s+(?P<title>.*?)\s*#*")
_UNDERLINE = re.compile(r"=+|-{3,}")
_FENCE = re.compile(r"```|~~~")
_CHAPTER = re.compile(
    r"(?:chapter|part|book|section|appendix)\s+(?:[0-9]{1,3}|[ivxlc]{1,7}|[a-z])\b.{0,80}", re.IGNORECASE
)


def read_text(data: bytes, name: str, *, markdown: bool) -> tuple[tuple[Page, ...], list[list[Line]]] | DocumentError:
    """The file as page 1, decoded as UTF-8 without a byte order mark, and its lines with heading levels."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return DocumentError(
            kind="not_utf8",
            file=name,
            message=f"{name} is not UTF-8 text (byte {error.start}, line {line}): save it as UTF-8 and use that",
        )
    lines = lines_of(text, page=1)
    headed = _markdown_headings(lines) if markdown else _chapter_headings(lines)
    return (Page(number=1, text=text),), [headed]


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


def _chapter_headings(lines: Sequence[Line]) -> list[Line]:
    """A line of its own that begins like `Chapter 3` is a heading; plain text shows no other."""
    alone = [*(line.blank_before for line in lines[1:]), True]
    return [
        replace(line, level=1) if ends and line.blank_before and _CHAPTER.fullmatch(line.text) else line
        for line, ends in zip(lines, alone, strict=True)
    ]
