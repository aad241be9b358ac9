"""Paragraphs: kept lines put together into blocks, words broken at line ends made whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from realign_daemon.curation.documents.document import Block, Run, Section
from realign_daemon.curation.documents.lines import SOFT_HYPHEN, Line

# The last line of a justified paragraph is mostly shorter than this share of a full line.
SHORT_LINE_FRACTION = 0.85
_SENTENCE_END = re.compile(r"""[.!?:;][)"'”’»]*$""")  # noqa: RUF001
_LIST_ITEM = re.compile(r"[•◦▪*–-]\s")  # noqa: RUF001
_NUMBERED_ITEM = re.compile(r"[0-9]{1,3}[.)]\s")
_NOTE_MARK = re.compile(r"(?:[0-9]{1,3}|[*\u2020\u2021\u00a7]{1,3})[.)]?\s*(?=[^\W\d])")
_BROKEN_WORD = re.compile(r"(?P<head>[^\W\d_]+)[-\u2010]$")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_UNBROKEN = re.compile(rf"[^{SOFT_HYPHEN}]+")


def sections_and_blocks(pages: Sequence[Sequence[Line]]) -> tuple[tuple[Section, ...], tuple[Block, ...]]:
    """The headings among the lines, and the paragraphs between them.

    A paragraph may go on over a page's end; the footnotes that stand there follow it.
    """
    lines = [line for page in pages for line in page]
    vocabulary = {word.casefold() for line in lines for word in _WORD.findall(line.text)}
    body = [len(line.text) for line in lines if not line.level]
    full_length = median(sorted(body)[len(body) // 2 :]) if body else 0
    sections: list[Section] = []
    blocks: list[Block] = []
    paragraph: list[Line] = []
    notes: list[Line] = []

    def end_paragraph() -> None:
        found = [paragraph, *_parted(notes)]
        blocks.extend(_joined(part, len(sections) - 1, vocabulary) for part in found if part)
        paragraph.clear()
        notes.clear()

    previous: Line | None = None
    for line in lines:
        if line.is_note:
            notes.append(line)
            continue
        if line.level:
            end_paragraph()
            if previous is not None and _continues_heading(previous, line):
                sections[-1] = replace(sections[-1], title=f"{sections[-1].title} {line.text}")
            else:
                title = line.text.replace(SOFT_HYPHEN, "")
                sections.append(Section(title=title, level=line.level, page=line.page, start=line.start))
            previous = line
            continue
        if paragraph and _starts_paragraph(paragraph[-1], line, full_length):
            end_paragraph()
        paragraph.append(line)
        previous = line
    end_paragraph()
    return tuple(sections), tuple(blocks)


def _parted(notes: Sequence[Line]) -> list[list[Line]]:
    """Footnotes one by one; the lines that a page begins with, and those that a mark begins, begin one."""
    found: list[list[Line]] = []
    for line in notes:
        if not found or line.page != found[-1][-1].page or _NOTE_MARK.match(line.text):
            found.append([])
        found[-1].append(line)
    return found


def _continues_heading(previous: Line, line: Line) -> bool:
    """Whether a heading was set in two lines. Only a PDF's type sizes can tell."""
    return (previous.page, previous.level, previous.font_size) == (line.page, line.level, line.font_size) and (
        line.font_size > 0
    )


def _starts_paragraph(previous: Line, line: Line, full_length: float) -> bool:
    if (line.in_table, line.as_written) != (previous.in_table, previous.as_written):
        return True
    if line.as_written or line.in_table:
        return line.blank_before and line.page == previous.page
    ends_sentence = _SENTENCE_END.search(previous.text) is not None
    # A sentence may end in a number that stands at the start of a line.
    if _LIST_ITEM.match(line.text) or (ends_sentence and _NUMBERED_ITEM.match(line.text)):
        return True
    if line.page == previous.page and line.blank_before:
        return True
    return ends_sentence and len(previous.text) < SHORT_LINE_FRACTION * full_length


def _joined(lines: Sequence[Line], section: int, vocabulary: set[str]) -> Block:
    parts, runs, at = list[str](), list[Run](), 0
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        text, glue = _ending(line, following, vocabulary)
        for piece in _UNBROKEN.finditer(text):
            gap = line.follows_gap and not piece.start()
            start, length = line.start + piece.start(), len(piece.group())
            runs.append(Run(at, line.page, start, length, follows_gap=gap, in_table=line.in_table))
            parts.append(piece.group())
            at += length
        parts.append(glue)
        at += len(glue)
    return Block(section=section, text="".join(parts), runs=tuple(runs))


def _ending(line: Line, following: Line | None, vocabulary: set[str]) -> tuple[str, str]:
    """What stays of a line's text, and what joins it to the next: a blank, or nothing inside a broken word.

    The rows of a table and the lines of code stay apart.

    A word broken at a hyphen is one word, unless only its hyphenated form is used elsewhere in the document.
    """
    swallowed = "-" if line.hyphenated else ""  # the hyphen that pdfium took for a broken word's
    if following is None or line.text.endswith(SOFT_HYPHEN):
        return line.text, swallowed
    if line.as_written:
        return line.text, "\n"
    blank = "\n" if line.in_table else " "
    head, tail = _BROKEN_WORD.search(line.text + swallowed), _WORD.match(following.text)
    if head is None or tail is None or not tail.group()[0].islower():
        return line.text, swallowed or blank
    first, second = head["head"].casefold(), tail.group().casefold()
    if f"{first}-{second}" in vocabulary and first + second not in vocabulary:
        return line.text, swallowed
    return line.text if swallowed else line.text[:-1], ""
