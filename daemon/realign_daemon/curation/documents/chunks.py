"""Chunking: a document cut into pieces to ask about, never across sections, each with its place on the pages."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from realign_daemon.curation.documents.document import Block, Chunk, Document, Record, Run, Section, Span
from realign_daemon.curation.documents.formulas import formulas_in
from realign_daemon.curation.documents.sentences import sentence_bounds

# A rest shorter than this at a section's end is too little to ask about and joins the passage before it.
MIN_REST_CHARACTERS = 200
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How to cut: into passages of up to so many words and characters, or into sentences of up to as many.

    350 words hold one thought of a textbook and leave a small model room to answer; 1,800 characters is the same for
    long words.
    """

    policy: Literal["passage", "sentence"] = "passage"
    max_words: int = 350
    max_characters: int = 1_800


class _Part(NamedTuple):
    block: Block
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.block.text[self.start : self.end]


def chunks_of(document: Document, chunking: Chunking) -> tuple[Chunk, ...]:
    """The chunks of a document in reading order.

    A sentence longer than the limits is cut between words. A passage ends at a paragraph's end where that leaves it
    half full, else at a sentence's, and may be longer than the limit by the short rest of its section.
    """
    found: list[Chunk] = []
    titles = _paths(document.sections)
    place = _Places(document)
    for section, grouped in groupby(document.blocks, key=lambda block: block.section):
        blocks = list(grouped)
        if chunking.policy == "sentence":
            pieces = [[part] for block in blocks for whole in _sentences(block) for part in _cut(whole, chunking)]
        else:
            pieces = _passages(blocks, chunking)
        title = titles[section] if section >= 0 else ""
        found += [_chunk(document, title, parts, place) for parts in pieces]
    return tuple(found)


def records_of(document: Document) -> tuple[Record, ...]:
    """The records of a file of field records, each with its whole page as chunk; none of any other document."""
    place = _Places(document)
    return tuple(
        Record(line=block.runs[0].page, fields=fields, chunk=_chunk(document, "", [_whole(block)], place))
        for block, fields in zip(document.blocks, document.fields, strict=False)
    )


def _passages(blocks: list[Block], chunking: Chunking) -> list[list[_Part]]:
    passages: list[list[_Part]] = []
    current: list[_Part] = []
    for block in blocks:
        whole = _whole(block)
        if _fits([*current, whole], chunking):
            current.append(whole)
            continue
        if current and _fits([whole], chunking) and not _fits([*current, *current], chunking):
            passages.append(current)
            current = [whole]
            continue
        for sentence in _sentences(block):
            for part in _cut(sentence, chunking):
                grown = _grown(current, part)
                if current and not _fits(grown, chunking):
                    passages.append(current)
                    grown = [part]
                current = grown
    if passages and sum(len(part.text) for part in current) < MIN_REST_CHARACTERS:
        for part in current:
            passages[-1] = _grown(passages[-1], part)
    elif current:
        passages.append(current)
    return passages


def _whole(block: Block) -> _Part:
    return _Part(block, 0, len(block.text))


def _grown(parts: list[_Part], part: _Part) -> list[_Part]:
    """The parts and one more, which extends the last part when it follows in the same block."""
    if parts and parts[-1].block is part.block:
        return [*parts[:-1], parts[-1]._replace(end=part.end)]
    return [*parts, part]


def _fits(parts: list[_Part], chunking: Chunking) -> bool:
    characters = sum(part.end - part.start for part in parts)
    return characters <= chunking.max_characters and sum(len(part.text.split()) for part in parts) <= chunking.max_words


def _sentences(block: Block) -> Iterator[_Part]:
    return (_Part(block, start, end) for start, end in sentence_bounds(block.text))


def _cut(sentence: _Part, chunking: Chunking) -> Iterator[_Part]:
    """The sentence in pieces that fit, cut between words, or inside one that is itself too long."""
    block, start, end = sentence
    while not _fits([_Part(block, start, end)], chunking):
        words = block.text[start:end].split(maxsplit=chunking.max_words)
        limit = end - len(words[-1]) if len(words) > chunking.max_words else end
        limit = min(limit, start + chunking.max_characters)
        blank = max(block.text.rfind(" ", start, limit), block.text.rfind("\n", start, limit))
        stop = blank if blank > start else limit
        yield _Part(block, start, stop)
        start = stop + (block.text[stop : stop + 1] in (" ", "\n"))
    if start < end:
        yield _Part(block, start, end)


class _Places:
    """The numbers of the lines, or records, at which the places of a document stand."""

    def __init__(self, document: Document) -> None:
        self._is_record = document.kind in {"jsonl", "parquet"}
        in_lines = document.kind in {"text", "markdown", "html"}
        self._line_ends = [end.end() for end in _LINE_END.finditer(document.pages[0].text)] if in_lines else None

    def line(self, span: Span) -> int | None:
        """From 1; None in documents that have pages."""
        if self._is_record:
            return span.page
        return None if self._line_ends is None else bisect(self._line_ends, span.start) + 1


def _chunk(document: Document, section: str, parts: list[_Part], places: _Places) -> Chunk:
    text = "\n\n".join(part.text for part in parts)
    runs = [run for part in parts for run in part.block.runs_between(part.start, part.end)]
    spans = _spans(runs)
    named = json.dumps([text, document.sha256, [[span.page, span.start, span.end] for span in spans]])
    return Chunk(
        id=hashlib.sha256(named.encode()).hexdigest(),
        source=document.name,
        source_sha256=document.sha256,
        section=section,
        spans=spans,
        text=text,
        line=places.line(spans[0]),
        has_table=any(run.in_table for run in runs),
        has_formula=any(part.block.formulas for part in parts) or formulas_in(text) > 0,
    )


def _spans(runs: Iterable[Run]) -> tuple[Span, ...]:
    """One span from the first character to the last of each stretch of a page in which no text is left out."""
    stretches: list[list[Run]] = []
    for run in runs:
        if not stretches or stretches[-1][-1].page != run.page or run.follows_gap:
            stretches.append([])
        stretches[-1].append(run)
    return tuple(Span(page=found[0].page, start=found[0].start, end=found[-1].raw_end) for found in stretches)


def _paths(sections: Sequence[Section]) -> list[str]:
    """For each section the titles that lead to it, from the outermost."""
    paths: list[str] = []
    around: list[Section] = []
    for section in sections:
        while around and around[-1].level >= section.level:
            around.pop()
        around.append(section)
        paths.append(" > ".join(outer.title for outer in around))
    return paths
