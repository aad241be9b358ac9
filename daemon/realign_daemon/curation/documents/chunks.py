"""Chunking: a document cut into pieces to ask about, never across sections, each with its place on the pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from realign_daemon.curation.documents.document import Block, Chunk, Document, Section, Span
from realign_daemon.curation.documents.sentences import sentence_bounds

# A rest shorter than this at a section's end is too little to ask about and joins the passage before it.
MIN_REST_CHARACTERS = 200


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
    for section, grouped in groupby(document.blocks, key=lambda block: block.section):
        blocks = list(grouped)
        if chunking.policy == "sentence":
            pieces = [[part] for block in blocks for whole in _sentences(block) for part in _cut(whole, chunking)]
        else:
            pieces = _passages(blocks, chunking)
        title = _path(document.sections, section)
        found += [_chunk(document, title, parts) for parts in pieces]
    return tuple(found)


def _passages(blocks: list[Block], chunking: Chunking) -> list[list[_Part]]:
    passages: list[list[_Part]] = []
    current: list[_Part] = []
    for block in blocks:
        whole = _Part(block, 0, len(block.text))
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
        blank = block.text.rfind(" ", start, limit)
        stop = blank if blank > start else limit
        yield _Part(block, start, stop)
        start = stop + (block.text[stop : stop + 1] == " ")
    if start < end:
        yield _Part(block, start, end)


def _chunk(document: Document, section: str, parts: list[_Part]) -> Chunk:
    text = "\n\n".join(part.text for part in parts)
    spans = _merged([span for part in parts for span in part.block.spans(part.start, part.end)])
    named = json.dumps([text, document.sha256, [[span.page, span.start, span.end] for span in spans]])
    return Chunk(
        id=hashlib.sha256(named.encode()).hexdigest(),
        source=document.name,
        source_sha256=document.sha256,
        section=section,
        spans=spans,
        text=text,
    )


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    """One span a page: from the first character to the last."""
    return tuple(
        Span(page=page, start=first[0].start, end=first[-1].end)
        for page, grouped in groupby(spans, key=lambda span: span.page)
        if (first := list(grouped))
    )


def _path(sections: tuple[Section, ...], index: int) -> str:
    """The titles that lead to a section, from the outermost."""
    titles: list[str] = []
    level = 1 << 30
    for section in reversed(sections[: index + 1]):
        if section.level < level:
            titles.append(section.title)
            level = section.level
    return " > ".join(reversed(titles))
