"""The example documents: what their README says of them is so."""

from __future__ import annotations

import subprocess
import sys
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


def test_the_spoiled_document_has_text_but_hardly_a_letter() -> None:
    document = read("spoiled.pdf")
    assert document.pages_without_text == ()
    assert document.text_ratio < 0.5
