"""PDFs: what of a book becomes text, under which heading, and that every offset leads back to the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Chunk, Document
from realign_daemon.curation.documents.extract import extract

MakeBook = Callable[..., Path]
PROSE = (
    "The river rises in the north and falls into a lake. Nobody lives there. Its water is cold, e.g. in May. "
    "Dr. Moss measured it twice and wrote down four degrees. She left in June and never came back to the lake."
)


def read(path: Path) -> Document:
    document = extract(path, path.name)
    assert isinstance(document, Document), document
    return document


def quoted(path: Path, chunk: Chunk) -> str:
    """What an outsider finds at the chunk's pages and offsets, white space and line-end hyphens aside."""
    with pypdfium2.PdfDocument(path) as pdf:
        raw = "".join(pdf[span.page - 1].get_textpage().get_text_range()[span.start : span.end] for span in chunk.spans)
    return "".join(raw.replace("\ufffe", "").split())


def test_a_quotation_is_found_at_its_page_and_offsets_by_another_reader(make_book: MakeBook) -> None:
    chapters = [
        (
            f"Chapter {number}",
            [
                " ".join(f"In May {number}{year}{day} Dr. Moss found the river {day} degrees cold." for day in range(6))
                for year in range(9)
            ],
        )
        for number in range(1, 4)
    ]
    book = make_book(chapters, width_mm=90, running=True)
    chunks = chunks_of(read(book), Chunking(policy="sentence"))
    assert len(chunks) == 3 * 9 * 6
    one_page = [chunk for chunk in chunks if len(chunk.spans) == 1]
    assert len(one_page) > 150
    assert [quoted(book, chunk) for chunk in one_page] == ["".join(chunk.text.split()) for chunk in one_page]


def test_a_sentence_over_a_page_end_is_whole_and_its_spans_leave_out_header_and_footer(make_book: MakeBook) -> None:
    book = make_book([("Chapter 1", [" ".join([PROSE] * 90)])], running=True)
    crossing = [chunk for chunk in chunks_of(read(book), Chunking(policy="sentence")) if len(chunk.spans) > 1]
    assert crossing
    for chunk in crossing:
        assert chunk.text in PROSE
        assert quoted(book, chunk) == "".join(chunk.text.split())


def test_headings_are_found_by_their_size_without_an_outline(make_book: MakeBook) -> None:
    document = read(make_book([("The North", [PROSE] * 8), ("The South", [PROSE] * 8)]))
    assert [(section.title, section.page) for section in document.sections] == [("The North", 1), ("The South", 2)]


def test_headings_are_taken_from_the_outline_where_there_is_one(make_book: MakeBook) -> None:
    document = read(make_book([("The North", [PROSE]), ("The South", [PROSE])], outline=True))
    assert [(section.title, section.level) for section in document.sections] == [("The North", 1), ("The South", 1)]
    assert all(not block.text.startswith("The North") for block in document.blocks)


def test_a_heading_of_two_lines_is_one_section(make_book: MakeBook) -> None:
    long_title = "On the many rivers of the north and on those who measured how cold their water is in May"
    document = read(make_book([(long_title, [PROSE] * 8)]))
    assert [section.title for section in document.sections] == [long_title]


def test_running_headers_and_page_numbers_are_left_out_and_page_text_stays_raw(make_book: MakeBook) -> None:
    document = read(make_book([(f"Chapter {number}", [PROSE] * 8) for number in range(1, 5)], running=True))
    kept = " ".join(block.text for block in document.blocks)
    assert "Little Book" not in kept
    assert "- 1 -" not in kept
    assert all("The Little Book of Tests" in page.text for page in document.pages)


def test_a_first_line_that_repeats_on_two_pages_only_is_text(make_book: MakeBook) -> None:
    document = read(make_book([("Chapter 1", ["Again.", PROSE]), ("Chapter 2", ["Again.", PROSE]), ("End", [PROSE])]))
    assert [block.text for block in document.blocks].count("Again.") == 2


def test_numbers_at_the_end_of_pages_that_do_not_count_them_are_text(make_book: MakeBook) -> None:
    chapters = [
        (f"Chapter {number}", [f"The year {number} brought a flood:", str(7 * number)]) for number in range(1, 5)
    ]
    kept = " ".join(block.text for block in read(make_book(chapters, running=True)).blocks)
    assert [number for number in ("7", "14", "21", "28") if f" {number}" in kept] == ["7", "14", "21", "28"]


def test_a_word_broken_at_a_line_end_is_made_whole(make_book: MakeBook) -> None:
    document = read(make_book([("One", ["The quick river meas-\nured twice is never still."])]))
    assert document.blocks[0].text == "The quick river measured twice is never still."


def test_a_compound_broken_at_its_hyphen_keeps_it_when_the_book_writes_it_so(make_book: MakeBook) -> None:
    paragraphs = ["A well-known river. It is a well-\nknown one."]
    document = read(make_book([("One", paragraphs)]))
    assert document.blocks[0].text == "A well-known river. It is a well-known one."


def test_pages_without_text_are_named(make_book: MakeBook) -> None:
    assert read(make_book([("One", [PROSE]), ("", [" "])])).pages_without_text == (2,)


def test_prose_is_recognised_as_english_text(make_book: MakeBook) -> None:
    document = read(make_book([("One", [PROSE] * 3)]))
    assert document.language == "en"
    assert 0.95 < document.text_ratio < 1.0
