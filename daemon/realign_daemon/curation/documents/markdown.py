"""Markdown: the lines of a file with its headings, its code as it is written, and what nobody reads left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from realign_daemon.curation.documents.lines import Line, lines_of

COMMENT_WITHIN = 20_000  # what opens none must not cost a walk to the end of the file each time
CODE_INDENT = 4  # a line that stands further in is no heading (CommonMark 4.2)
_ATX_HEADING = re.compile(r"(?P<marks>#{1,6})\s+(?P<title>.*?)(?:\s+#+)?")
_UNDERLINE = re.compile(r"=+|-{3,}")
_FENCE = re.compile(r"(?P<marks>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)")
_ITEM = re.compile(r"(?:[-*+]|[0-9]{1,9}[.)])\s")
_RULE = re.compile(r"(?P<mark>[-*_=])(?:\s*(?P=mark)){2,}")
_LINK_TARGET = re.compile(r"""\[(?!\^)[^\]]+\]:\s+\S+(?:\s+(?:"[^"]*"|'[^']*'|\([^)]*\)))?""")
_MATTER = re.compile(r"(?P<mark>---|\+\+\+)[ \t]*\r?\n\s*(?:[\w-]+\s*[:=]|#)")
_MATTER_ENDS = {"---": re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE), "+++": re.compile(r"^\+\+\+", re.MULTILINE)}


def markdown_lines(text: str) -> list[Line]:
    """The lines of the file as page 1, with heading levels.

    Code between fences keeps its indentation and its lines. Front matter, comments, rules and the targets of links are
    left out. A list's items are paragraphs.
    """
    hidden_until = _front_matter(text)
    kept: list[Line] = []
    fence = ""
    is_gap = False
    for raw in lines_of(text, page=1):
        line = replace(raw, blank_before=True, follows_gap=is_gap) if is_gap else raw
        fence_found = _FENCE.fullmatch(line.text)
        if line.start < hidden_until:
            is_gap = True
        elif fence or fence_found:
            fence = _fence_after(fence, fence_found)
            kept.append(_as_written(line, text))
            is_gap = False
        elif (end := _comment(line, text)) is not None:
            hidden_until, is_gap = end, True
        elif level := _underlined(line, kept):
            kept[-1] = replace(kept[-1], level=level)
        elif _RULE.fullmatch(line.text) or _LINK_TARGET.fullmatch(line.text):
            is_gap = True
        else:
            kept.append(_headed(line, text))
            is_gap = False
    return kept


def _front_matter(text: str) -> int:
    """Where the block of facts that opens a file ends; 0 without one."""
    found = _MATTER.match(text)
    end = found and _MATTER_ENDS[found["mark"]].search(text, found.end())
    return end.end() if end else 0


def _fence_after(fence: str, found: re.Match[str] | None) -> str:
    """The fence that is open after a line: it is closed by as many or more of its own marks with nothing behind."""
    if not fence:
        return found["marks"] if found else ""
    return "" if found and found["marks"].startswith(fence) and not found["info"].strip() else fence


def _as_written(line: Line, text: str) -> Line:
    indent = _indent(line, text)
    return replace(line, start=line.start - len(indent), text=indent + line.text, as_written=True)


def _comment(line: Line, text: str) -> int | None:
    """Where a comment ends that begins the line and after which its last line holds nothing; None for other lines."""
    if not line.text.startswith("<!--"):
        return None
    end = text.find("-->", line.start, line.start + COMMENT_WITHIN) + len("-->")
    return end if end > line.start and not text[end : end + 1].strip() else None


def _underlined(line: Line, kept: Sequence[Line]) -> int:
    """The level that the line gives to the one before it, a paragraph of one line; 0 where it does not."""
    if line.blank_before or not kept or not _UNDERLINE.fullmatch(line.text):
        return 0
    title = kept[-1]
    is_title = title.blank_before and not (title.level or title.as_written or _ITEM.match(title.text))
    return (1 if line.text[0] == "=" else 2) if is_title and title.text[0] not in ">|" else 0


def _headed(line: Line, text: str) -> Line:
    atx = _ATX_HEADING.fullmatch(line.text)
    if atx is not None and atx["title"].strip("#") and len(_indent(line, text).expandtabs(CODE_INDENT)) < CODE_INDENT:
        return replace(line, start=line.start + atx.start("title"), text=atx["title"], level=len(atx["marks"]))
    return replace(line, blank_before=True) if _ITEM.match(line.text) else line


def _indent(line: Line, text: str) -> str:
    start = line.start
    while start > 0 and text[start - 1] in " \t":
        start -= 1
    return text[start : line.start]
