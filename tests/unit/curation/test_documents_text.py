"""Plain text and Markdown, sentences, and passages that fit and lose nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Document
from realign_daemon.curation.documents.extract import extract, text_ratio
from realign_daemon.curation.documents.paragraphs import sections_and_blocks
from realign_daemon.curation.documents.plaintext import read_text
from realign_daemon.curation.documents.sentences import sentence_bounds


def document_of(text: str, *, name: str = "notes.md") -> Document:
    read = read_text(text.encode(), name, markdown=name.endswith(".md"))
    assert isinstance(read, tuple)
    sections, blocks = sections_and_blocks(read[1])
    return Document(
        name=name, sha256="0" * 64, pages=read[0], sections=sections, blocks=blocks, text_ratio=1.0, language="en"
    )


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_bounds(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12+34 makes 46. Page: 12+35 makes 47.", ["12+34 makes 46.", "Page: 12+35 makes 47."]),
        ("Pi is 3.14 or so. 20 apples.", ["Pi is 3.14 or so.", "20 apples."]),
        ("Dr. Moss met J. R. Hart. They spoke.", ["Dr. Moss met J. R. Hart.", "They spoke."]),
        ('He said "Go!" Then he left.', ['He said "Go!"', "Then he left."]),
        ("Cold water, e.g. in May. Ask why?", ["Cold water, e.g. in May.", "Ask why?"]),
        ("你好。再见。", ["你好。", "再见。"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet="aB1.!? \"')。"))
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_markdown_headings_nest_and_code_is_no_heading() -> None:
    text = "# Top\nIntro here.\n\n## Inner\nMore text.\n\n```\n# not a heading\n```\n\nOther\n=====\nLast."
    chunks = chunks_of(document_of(text), Chunking(policy="sentence"))
    assert [(chunk.section, chunk.text) for chunk in chunks] == [
        ("Top", "Intro here."),
        ("Top > Inner", "More text."),
        ("Top > Inner", "```\n# not a heading\n```"),
        ("Other", "Last."),
    ]


def test_a_chapter_line_alone_is_a_heading_in_plain_text() -> None:
    text = "Chapter 1\n\nChapter 2 is better, they say.\nIt is.\n\nCHAPTER II: More\n\nEnd."
    document = document_of(text, name="a.txt")
    assert [section.title for section in document.sections] == ["Chapter 1", "CHAPTER II: More"]


def test_offsets_count_without_the_byte_order_mark_and_with_every_line_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffOne.\r\n\r\nTwo is here.".encode())
    document = extract(path, "a.txt")
    assert isinstance(document, Document)
    (_, chunk) = chunks_of(document, Chunking(policy="sentence"))
    assert (chunk.page, chunk.start, chunk.end) == (1, 8, 20)


words = st.text(alphabet="abcdefgh", min_size=1, max_size=12)
sentence_texts = st.lists(words, min_size=1, max_size=30).map(lambda found: " ".join(found).capitalize() + ".")
paragraph_texts = st.lists(sentence_texts, min_size=1, max_size=8).map(" ".join)
books = st.lists(st.tuples(words, st.lists(paragraph_texts, min_size=1, max_size=5)), min_size=1, max_size=4)
limits = st.builds(
    Chunking, max_words=st.integers(min_value=3, max_value=60), max_characters=st.integers(min_value=30, max_value=400)
)

# A long book takes longer than the usual fifth of a second when other tests keep the machine busy.
unhurried = settings(deadline=None)


def written(chapters: list[tuple[str, list[str]]]) -> str:
    return "\n\n".join(f"# {title}\n\n" + "\n\n".join(paragraphs) for title, paragraphs in chapters)


@given(books, limits)
@unhurried
def test_passages_lose_nothing_repeat_nothing_and_stay_within_a_section(
    chapters: list[tuple[str, list[str]]], chunking: Chunking
) -> None:
    chunks = chunks_of(document_of(written(chapters)), chunking)
    per_section = dict[str, str]()
    for chunk in chunks:
        per_section[chunk.section] = per_section.get(chunk.section, "") + "".join(chunk.text.split())
    expected = dict[str, str]()
    for title, paragraphs in chapters:
        expected[title] = expected.get(title, "") + "".join("".join(paragraphs).split())
    assert per_section == expected


@given(books, limits)
@unhurried
def test_passages_keep_the_limits_but_for_a_short_rest(
    chapters: list[tuple[str, list[str]]], chunking: Chunking
) -> None:
    for chunk in chunks_of(document_of(written(chapters)), chunking):
        assert len(chunk.text) < chunking.max_characters + 200 + 2 * chunk.text.count("\n\n")
        assert len(chunk.text.split()) < chunking.max_words + 200


@given(books, limits)
@unhurried
def test_every_passage_is_the_text_at_its_offsets(chapters: list[tuple[str, list[str]]], chunking: Chunking) -> None:
    text = written(chapters)
    for chunk in chunks_of(document_of(text), chunking):
        assert text[chunk.start : chunk.end].split() == chunk.text.split()


@given(books, limits)
@unhurried
def test_chunk_ids_name_one_place_each(chapters: list[tuple[str, list[str]]], chunking: Chunking) -> None:
    chunks = chunks_of(document_of(written(chapters)), chunking)
    assert len({chunk.id for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize(
    ("text", "ratio"), [("ab 1", 1.0), ("ab\ufffd\ufffd", 0.5), ("!#$%", 0.0), ("", 0.0), ("été", 1.0)]
)
def test_text_ratio_is_the_share_of_letters_digits_and_white_space(text: str, ratio: float) -> None:
    assert text_ratio(text) == ratio
