"""Document: the text of one source, and where on its pages every piece of it stands.

Positions are zero-based character offsets into `Page.text`, the raw text of a page: for a PDF exactly what pypdfium2's
`PdfTextPage.get_text_range()` returns for it (line ends are CR LF; a hyphen at a line end is the one character U+FFFE),
for other files the whole file decoded as UTF-8 without a byte order mark, as page 1. So anybody can open the source
again and find a quotation at its page and offsets.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

DocumentErrorKind = Literal[
    "missing",  # no such file, or not a file
    "empty",  # no bytes, no pages or nothing but white space
    "encrypted",  # needs a password
    "scanned",  # pages, but no text on any of them
    "damaged",  # the right kind of file, but it cannot be read
    "wrong_extension",  # the content is not what the name says
    "unsupported",  # a kind of file that is not read
    "not_utf8",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentError:
    """Why a source cannot be used: one sentence that names the file and says what to do."""

    kind: DocumentErrorKind
    file: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Characters `start` to `end` (exclusive) of the raw text of page `page` (from 1)."""

    page: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page and its raw text. Files without pages have one, numbered 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading: its words, its level from 1 (outermost), and where its section starts."""

    title: str
    level: int
    page: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Raw text taken over unchanged into a block: `length` characters from `start` of a page, at `at` in the block."""

    at: int
    page: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A paragraph as a reader sees it: lines joined, words put together again, page headers gone.

    Everything in `text` but the single blanks that join lines belongs to one of `runs`, which are in order.
    """

    section: int  # index into Document.sections; -1 before the first heading
    text: str
    runs: tuple[Run, ...]

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        """Where the characters `start` to `end` of this block stand: one span a page, in page order.

        `start` and `end - 1` are characters of a run, not joining blanks.
        """
        first = bisect_right(self.runs, start, key=lambda run: run.at) - 1
        spans: list[Span] = []
        for run in self.runs[first:]:
            if run.at >= end:
                break
            low = run.start + max(start - run.at, 0)
            high = run.start + min(end - run.at, run.length)
            if spans and spans[-1].page == run.page:
                spans[-1] = Span(page=run.page, start=spans[-1].start, end=high)
            else:
                spans.append(Span(page=run.page, start=low, end=high))
        return tuple(spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A source's raw pages, its sections in reading order, and its cleaned paragraphs.

    `text_ratio` is the share of letters, marks, digits and white space in all kept text (0..1): 0.9 and more in prose,
    far less where a PDF's fonts map to the wrong characters. `language` is an ISO 639-1 guess.
    """

    name: str
    sha256: str
    pages: tuple[Page, ...]
    sections: tuple[Section, ...]
    blocks: tuple[Block, ...]
    text_ratio: float
    language: str

    @property
    def pages_without_text(self) -> tuple[int, ...]:
        """Numbers of the pages that gave no text, scanned or blank."""
        return tuple(page.number for page in self.pages if not page.text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of one section to ask about, and where it stands.

    Spans cover one range a page, in page order; most chunks have one. White space, U+FFFE (a hyphen at a line end) and
    page headers apart, the raw text of the spans is `text`.
    """

    id: str  # SHA-256 of text, source and spans: names the quotation, wherever it is used
    source: str  # file name
    source_sha256: str
    section: str  # titles from the outermost to the innermost, joined by " > "; empty before the first heading
    spans: tuple[Span, ...]
    text: str

    @property
    def page(self) -> int:
        """The page on which the chunk starts."""
        return self.spans[0].page

    @property
    def start(self) -> int:
        """Offset of its first character on that page."""
        return self.spans[0].start

    @property
    def end(self) -> int:
        """Offset after its last character on that page."""
        return self.spans[0].end
