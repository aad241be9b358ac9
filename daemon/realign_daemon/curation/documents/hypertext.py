"""Hypertext: what a reader sees of an HTML file, in order, every character with its place in the file."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from realign_daemon.curation.documents.document import Block, Run, Section
from realign_daemon.curation.documents.elements import (
    BLOCKS,
    CLOSED_BY_LIKE,
    HEADINGS,
    LEFT_OUT,
    PARTED,
    SECTIONING,
    VOIDS,
)
from realign_daemon.curation.documents.marks import is_mark
from realign_daemon.curation.documents.markup import Tag, tags

_MAY_HIDE = re.compile("hidden|none", re.IGNORECASE)
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TEX = "application/x-tex"
_MATH_WITHIN = 20_000  # no formula is longer, and unclosed ones must not cost a walk to the end each
_PIECE = re.compile(
    r"(?P<entity>&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[a-zA-Z][a-zA-Z0-9]*);?)|(?P<words>[^\s&\u00ad]+(?: [^\s&\u00ad]+)*|&)"
    r"|(?P<blank>\s+)|\u00ad"
)
MIN_TABLE_SIDE = 2  # rows and cells: pages are laid out in tables of fewer
_MAIN = re.compile(r"<main\b", re.IGNORECASE)
_VISIBLE = re.compile(r"\S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Headings and paragraphs in order; a paragraph's section is not numbered yet."""

    items: tuple[Section | Block, ...]
    tables: int


@dataclass(slots=True)
class _Element:
    name: str
    is_left_out: bool
    first_item: int
    rows: int = 0  # of a table, those with enough cells
    cells: int = 0  # of the table's row

    def count_cell(self, name: str) -> None:
        """Counts a row or a cell of this table."""
        self.cells = 0 if name == "tr" else self.cells + 1
        self.rows += name != "tr" and self.cells == MIN_TABLE_SIDE


def flow_of(text: str, page: int) -> Flow:
    """The headings and paragraphs of a file that is the page of this number.

    Where the page has a main element with text, that is all that is read. Navigation, the site's header and footer,
    asides, forms, scripts, references to notes, numbers of printed pages and what is hidden are left out. Line breaks
    are kept in preformatted text only. Of a formula with its LaTeX beside it only the LaTeX is read.
    """
    if _MAIN.search(text):
        flow = _Reader(text, page, is_main_only=True).read()
        if any(isinstance(item, Block) for item in flow.items):
            return flow
    return _Reader(text, page, is_main_only=False).read()


def numbered(items: Iterable[Section | Block]) -> tuple[tuple[Section, ...], tuple[Block, ...]]:
    """The headings, and the paragraphs with the number of the heading that they stand under."""
    sections: list[Section] = []
    blocks: list[Block] = []
    for item in items:
        if isinstance(item, Section):
            sections.append(item)
        else:
            blocks.append(replace(item, section=len(sections) - 1))
    return tuple(sections), tuple(blocks)


class _Reader:
    def __init__(self, text: str, page: int, *, is_main_only: bool) -> None:
        self._text, self._page, self._is_main_only = text, page, is_main_only
        self._items: list[Section | Block] = []
        self._tables = 0
        self._open: list[_Element] = []
        self._open_tables: list[_Element] = []
        self._is_math_left_out = False
        self._count = Counter[str]()  # of the open elements, by name
        # The paragraph so far.
        self._parts: list[str] = []
        self._runs: list[Run] = []
        self._at = self._formulas = 0
        self._blank: tuple[int, int] | None = None  # white space that is read if something follows
        self._is_gap = False

    def read(self) -> Flow:
        at = 0
        for tag in tags(self._text):
            self._read_text(at, tag.start)
            at = tag.end
            if not tag.name:
                self._is_gap = True
            elif tag.is_closing:
                self._close(tag)
            else:
                self._enter(tag)
        self._read_text(at, len(self._text))
        self._end_paragraph()
        return Flow(items=tuple(self._items), tables=self._tables)

    @property
    def _is_left_out(self) -> bool:
        return self._open[-1].is_left_out if self._open else self._is_main_only

    @property
    def _innermost(self) -> str:
        return self._open[-1].name if self._open else ""

    def _enter(self, tag: Tag) -> None:
        name = tag.name.removeprefix("mml:").removeprefix("m:")
        self._part(name, tag)
        if name in BLOCKS and self._innermost == "p":
            self._pop()
        if name in CLOSED_BY_LIKE and self._innermost == name:
            self._pop()
        if self._open_tables and name in {"tr", "td", "th"}:
            self._open_tables[-1].count_cell(name)
        if name == "math":
            self._is_math_left_out = self._is_left_out
            self._formulas += not self._is_left_out
        if name not in VOIDS and not tag.is_empty:
            element = _Element(name, self._leaves_out(name, tag), len(self._items))
            self._open.append(element)
            self._count[name] += 1
            if name == "table":
                self._open_tables.append(element)

    def _leaves_out(self, name: str, tag: Tag) -> bool:
        if name == "main" and self._is_main_only and not self._count["main"]:
            return _hides(tag)
        if name == "annotation" and self._count["math"] and _TEX in tag.raw_attributes:
            return self._is_math_left_out
        if self._is_left_out or name in LEFT_OUT:
            return True
        if name == "header":  # the site's; an article's own holds its title
            return not any(self._count[outer] for outer in SECTIONING)
        if name == "math":
            end = self._text.find("</math", tag.end, tag.end + _MATH_WITHIN)
            return self._text.find(_TEX, tag.end, max(end, tag.end)) >= 0
        return is_mark(tag, self._text) or (_MAY_HIDE.search(tag.raw_attributes) is not None and _hides(tag))

    def _close(self, tag: Tag) -> None:
        name = tag.name.removeprefix("mml:").removeprefix("m:")
        self._part(name, tag)
        if self._count[name]:
            while self._pop() != name:
                pass

    def _pop(self) -> str:
        element = self._open.pop()
        self._count[element.name] -= 1
        if element.name != "table":
            return element.name
        self._open_tables.pop()
        if element.rows >= MIN_TABLE_SIDE and not element.is_left_out:
            self._tables += 1
            self._items[element.first_item :] = [
                replace(item, runs=tuple(run._replace(in_table=True) for run in item.runs))
                if isinstance(item, Block)
                else item
                for item in self._items[element.first_item :]
            ]
        return element.name

    def _part(self, name: str, tag: Tag) -> None:
        """Ends the paragraph, or a word, where a tag does."""
        if name in BLOCKS:
            self._end_paragraph()
        elif name in PARTED and self._blank is None:
            self._blank = (tag.start, tag.start)

    def _read_text(self, start: int, end: int) -> None:
        if start >= end:
            return
        if self._is_left_out:
            self._is_gap = self._is_gap or _VISIBLE.search(self._text, start, end) is not None
            return
        for piece in _PIECE.finditer(self._text, start, end):
            raw = piece.group()
            if piece["blank"] is not None:
                self._blank = piece.span()
            elif piece["words"] is not None:
                self._append(raw, piece.start(), None)
            elif piece["entity"] is not None:
                resolved = html.unescape(raw)
                if resolved.isspace():
                    self._blank = (piece.start(), piece.start())
                elif resolved.strip("\u00ad"):
                    self._append(resolved, piece.start(), None if resolved == raw else len(raw))

    def _append(self, words: str, start: int, raw_length: int | None) -> None:
        if self._blank is not None and self._parts:
            first, last = self._blank
            if self._count["pre"] and first < last and not self._is_gap:
                self._add(self._text[first:last], first, None)
            else:
                self._parts.append(" ")
                self._at += 1
        self._blank = None
        self._add(words, start, raw_length)

    def _add(self, words: str, start: int, raw_length: int | None) -> None:
        self._runs.append(Run(self._at, self._page, start, len(words), raw_length, self._is_gap))
        self._parts.append(words)
        self._at += len(words)
        self._is_gap = False

    def _end_paragraph(self) -> None:
        words = "".join(self._parts)
        level = next((level for name, level in HEADINGS.items() if self._count[name]), 0)
        if words and level:
            self._items.append(Section(title=words, level=level, page=self._page, start=self._runs[0].start))
        elif words:
            block = Block(section=-1, text=words, runs=tuple(self._runs), formulas=self._formulas)
            self._items.append(block)
        self._parts, self._runs = [], []
        self._at = self._formulas = 0
        self._blank = None


def _hides(tag: Tag) -> bool:
    given = tag.attributes
    return (
        "hidden" in given
        or given.get("aria-hidden", "").lower() == "true"
        or _HIDING_STYLE.search(given.get("style", "")) is not None
    )
