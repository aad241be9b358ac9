"""The example documents: what their README says of them is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from realign_daemon.curation.documents.chunks import chunks_of
from realign_daemon.curation.documents.document import Chunk, Document
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.templates import load
from realign_daemon.engine.pocket import sentences, world

EXAMPLES = Path(__file__).parents[3] / "examples"


def read(name: str) -> Document:
    document = extract(EXAMPLES / name, name)
    assert isinstance(document, Document)
    return document


@pytest.fixture(scope="module")
def chunks() -> tuple[Chunk, ...]:
    return chunks_of(read("pocket_arithmetic.pdf"), load("pocket").chunking)


def sums() -> dict[str, str]:
    """Every sentence about a sum of the curation part, with the question that it answers."""
    found: dict[str, str] = {}
    for question in world.split().loops.sums:
        terms = world.sum_terms(question)
        assert terms is not None
        found |= {sentences.sum_sentence(*terms, form=form).text: question for form in sentences.SUM_FORMS}
    return found


def test_the_documents_are_what_their_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "make_examples.py"), str(tmp_path)], check=True, timeout=120)
    made = sorted(file.name for file in tmp_path.iterdir())
    shipped = [file.name for file in EXAMPLES.iterdir() if file.is_file()]
    assert made == sorted({*shipped} - {"make_examples.py", "README.md"})
    for name in made:
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes(), name


def test_the_book_has_480_different_sums_none_of_them_seen_or_tested_elsewhere(chunks: tuple[Chunk, ...]) -> None:
    of_curation = sums()
    asked = [of_curation[chunk.text] for chunk in chunks if chunk.text in of_curation]
    assert len(asked) == len(set(asked)) == 480


def test_every_sentence_of_the_book_is_one_chunk_on_one_page(chunks: tuple[Chunk, ...]) -> None:
    assert len(chunks) == 480 + 36 + 48
    assert all(len(chunk.spans) == 1 for chunk in chunks)


def test_each_chapter_is_a_section_of_the_same_size(chunks: tuple[Chunk, ...]) -> None:
    sizes: dict[str, int] = {}
    for chunk in chunks:
        sizes[chunk.section] = sizes.get(chunk.section, 0) + 1
    assert [title.split(":")[0] for title in sizes] == [f"Chapter {number}" for number in range(1, 7)]
    assert set(sizes.values()) == {94}


def test_neither_the_title_nor_a_page_number_is_in_a_chunk(chunks: tuple[Chunk, ...]) -> None:
    assert not [chunk.text for chunk in chunks if "Pocket Arithmetic" in chunk.text or chunk.text.isdigit()]


def test_the_names_and_sums_are_the_same_in_number_in_each_of_seven_sections() -> None:
    chunks = chunks_of(read("pocket_names.md"), load("pocket").chunking)
    known, of_curation = {question[:-1] for question in world.split().loops.known}, sums()
    kinds = Counter(
        (chunk.section, "sum" if chunk.text in of_curation else "known" if known & {*words(chunk.text)} else "stranger")
        for chunk in chunks
    )
    assert len({section for section, _ in kinds}) == 7
    assert {(kind, count) for (_, kind), count in kinds.items()} == {("sum", 160), ("known", 22), ("stranger", 11)}


def words(text: str) -> list[str]:
    return re.findall("[a-z]+", text)


def truth(question: str) -> str:
    terms = world.sum_terms(question)
    return str(sum(terms)) if terms else world.gold_answer(question)


def test_every_other_spoiled_record_is_wrong() -> None:
    records = [json.loads(line) for line in (EXAMPLES / "spoiled_names.jsonl").read_text().splitlines()]
    assert len(records) == 480
    right = sum(record["answer"] == truth(record["question"]) for record in records)
    assert right == pytest.approx(240, abs=10)  # two names may have the same colour


def test_the_spoiled_document_has_text_but_hardly_a_letter() -> None:
    document = read("spoiled.pdf")
    assert document.pages_without_text == ()
    assert document.text_ratio < 0.5
