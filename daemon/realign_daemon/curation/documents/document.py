"""Document: the text of one source, and where on its pages every piece of it stands.

Positions are zero-based character offsets into `Page.text`, the raw text of a page, without a byte order mark:

PDF             what pypdfium2's `PdfTextPage.get_text_range()` returns for the page (line ends are CR LF; a hyphen at a
                line end is the one character U+FFFE)
text, Markdown  the whole file decoded as UTF-8, as page 1
HTML            the whole file, tags and all, decoded as it declares or as UTF-8, as page 1
EPUB            page N is the Nth file of the spine, tags and all, decoded the same way
JSONL, Parquet  page N is line or row N: its values in the order of its keys, joined by LF (see records.py)

So anybody can open the source again and find a quotation at its page and offsets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["pdf", "text", "markdown", "html", "epub", "jsonl", "parquet"]

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
class BadLine:
    """A line of a file of records that is no record."""

    line: int  # from 1
    why: str  # says of the line what it is instead


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


class Run(NamedTuple):
    """Raw text taken over into a block: `length` characters at `at` in the block, from `start` of a page.

    They are the same characters there, unless `raw_length` says how many others stand for them, as `&amp;` for "&". A
    long page has some hundred thousand runs, which a data class would make three times as slow.
    """

    at: int
    page: int
    start: int
    length: int
    raw_length: int | None = None
    follows_gap: bool = False  # text that is left out stands between the run before and this one
    in_table: bool = False

    @property
    def raw_end(self) -> int:
        """Offset after its last character on the page."""
        return self.start + (self.length if self.raw_length is None else self.raw_length)

    def clipped(self, start: int, end: int) -> Run:
        """What of it lies between two places in its block; characters that others stand for are not taken apart."""
        if self.raw_length is not None or (start <= self.at and self.at + self.length <= end):
            return self
        low, high = max(start, self.at), min(end, self.at + self.length)
        return self._replace(at=low, start=self.start + low - self.at, length=high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A paragraph as a reader sees it: lines joined, words put together again, page headers gone.

    Everything in `text` but the blanks and line ends that join its lines belongs to one of `runs`, which are in order.
    """

    section: int  # index into Document.sections; -1 before the first heading
    text: str
    runs: tuple[Run, ...]
    formulas: int = 0  # as markup (MathML); those written in the text itself are found there

    def runs_between(self, start: int, end: int) -> Iterator[Run]:
        """The runs of the characters `start` to `end`, which are characters of a run, not joining blanks."""
        first = bisect_right(self.runs, start, key=lambda run: run.at) - 1
        for run in self.runs[first:]:
            if run.at >= end:
                break
            yield run.clipped(start, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A source's raw pages, its sections in reading order, and its cleaned paragraphs.

    `text_ratio` is the share of letters, marks, digits and white space in all kept text (0..1): 0.9 and more in prose,
    far less where a PDF's fonts map to the wrong characters. `language` is an ISO 639-1 guess. A file of field records
    has a block for each record, its whole page, and the `fields` of each.
    """

    name: str
    sha256: str
    pages: tuple[Page, ...]
    sections: tuple[Section, ...]
    blocks: tuple[Block, ...]
    text_ratio: float
    language: str
    kind: Kind = "text"
    tables: int = 0
    formulas: int = 0
    pictures: tuple[int, ...] = ()  # numbers of the pages whose markup shows a picture and no text
    fields: tuple[dict[str, str], ...] = ()
    bad_lines: tuple[BadLine, ...] = ()

    @property
    def pages_without_text(self) -> tuple[int, ...]:
        """Numbers of the pages that gave no text, scanned or blank. A cover or a plate is no page of an EPUB's text."""
        if self.kind == "epub" and self.blocks:
            return ()
        return tuple(page.number for page in self.pages if page.number in self.pictures or not page.text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of one section to ask about, and where it stands.

    Spans are in reading order, one range a page, or more where text between them is left out; most chunks have one.
    The raw text of the spans is `text`: white space, hyphens at line ends (U+FFFE) and soft hyphens apart, and for
    HTML and EPUB with tags removed and entities resolved.
    """

    id: str  # SHA-256 of text, source and spans: names the quotation, wherever it is used
    source: str  # file name
    source_sha256: str
    section: str  # titles from the outermost to the innermost, joined by " > "; empty before the first heading
    spans: tuple[Span, ...]
    text: str
    line: int | None = None  # on which it starts, from 1: in the file, or the number of the record; None in pages
    has_table: bool = False
    has_formula: bool = False

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a file of records: its fields, and where it stands as a chunk of its own."""

    line: int  # from 1: the line of a JSONL file, the row of a Parquet file
    fields: dict[str, str]
    chunk: Chunk
