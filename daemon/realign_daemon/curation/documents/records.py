"""Record: a line of a JSONL file or a row of a Parquet file, as text to cut up or as fields to take over.

The raw text of a record is its values in the order of its keys, joined by LF: strings as they are, a chat as the
contents of its turns joined by LF, nothing for null, and everything else as JSON as Python's `json.dumps(value,
ensure_ascii=False)` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from realign_daemon.curation.documents.chat import flattened, turns_of
from realign_daemon.curation.documents.contents import Contents
from realign_daemon.curation.documents.document import Block, Page, Run, Section
from realign_daemon.curation.documents.lines import Line, lines_of
from realign_daemon.curation.documents.paragraphs import sections_and_blocks
from realign_daemon.curation.documents.plaintext import chapter_headings

# Where data sets of the Hugging Face hub keep text to learn from (C4, Wikipedia, FineWeb, PG-19).
TEXT_FIELDS = ("text", "content", "body", "passage")
# Fields beside it that make it a task: GSM8K, MATH, Alpaca, Dolly, SQuAD, HH-RLHF, MBPP, HumanEval, ShareGPT.
_TASK_FIELDS = """
    question prompt instruction problem query answer answers final_answer expected_answer response output completion
    solution solutions canonical_solution code test tests test_list unit_tests choices options answerkey chosen rejected
    preferred dispreferred messages conversation conversations
"""
TASK_FIELDS = frozenset(_TASK_FIELDS.split())

Numbered = tuple[int, Mapping[str, object]]


def contents_of(records: Sequence[Numbered]) -> Contents:
    """The records, by their number from 1, as text when each has a text and none a question or an answer."""
    pages = tuple(Page(number=number, text=raw_text(record)) for number, record in records)
    if all(_text_field(record) and not TASK_FIELDS.intersection(map(str.lower, record)) for _, record in records):
        sections, blocks = _as_text(records)
        return Contents(pages=pages, sections=sections, blocks=blocks)
    filled = [(page, record) for page, (_, record) in zip(pages, records, strict=True) if page.text.strip()]
    return Contents(
        pages=pages,
        sections=(),
        blocks=tuple(_whole(page) for page, _ in filled),
        fields=tuple(fields_of(record) for _, record in filled),
    )


def raw_text(record: Mapping[str, object]) -> str:
    """The record's page."""
    return "\n".join(text for _, text in _texts(record))


def fields_of(record: Mapping[str, object]) -> dict[str, str]:
    """The record's values as text by key. A chat becomes its question, its answer and what its system turn says."""
    fields: dict[str, str] = {}
    for key, value in record.items():
        turns = turns_of(value)
        if turns:
            fields |= flattened(key, turns, record)
        elif value is not None:
            fields[key] = _text(value)
    return fields


def _texts(record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    return ((key, _text(value)) for key, value in record.items() if value is not None)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    turns = turns_of(value)
    return "\n".join(turn.content for turn in turns) if turns else json.dumps(value, ensure_ascii=False)


def _text_field(record: Mapping[str, object]) -> str | None:
    """The field that holds a record's text: one that says something, else one that is empty, if there is any."""
    named = sorted(
        (key for key in record if key.lower() in TEXT_FIELDS), key=lambda key: TEXT_FIELDS.index(key.lower())
    )
    texts = [key for key in named if isinstance(record[key], str | None)]
    return next((key for key in texts if record[key]), texts[0] if texts else None)


def _whole(page: Page) -> Block:
    run = Run(at=0, page=page.number, start=0, length=len(page.text))
    return Block(section=-1, text=page.text, runs=(run,))


def _as_text(records: Sequence[Numbered]) -> tuple[tuple[Section, ...], tuple[Block, ...]]:
    """A section for each record, named by its title, so that no chunk holds text of two."""
    sections: list[Section] = []
    blocks: list[Block] = []
    for number, record in records:
        title = record.get("title")
        named = title if isinstance(title, str) and title.strip() else f"record {number}"
        inner, found = sections_and_blocks([_lines(number, record)])
        sections.append(Section(title=named.strip(), level=1, page=number, start=0))
        blocks += [replace(block, section=block.section + len(sections)) for block in found]
        sections += [replace(section, level=section.level + 1) for section in inner]
    return tuple(sections), tuple(blocks)


def _lines(number: int, record: Mapping[str, object]) -> list[Line]:
    """The lines of a record's text field, where they stand in its raw text."""
    offset = 0
    for key, text in _texts(record):
        if key == _text_field(record):
            lines = chapter_headings(lines_of(text, page=number))
            return [replace(line, start=line.start + offset) for line in lines]
        offset += len(text) + 1
    return []
