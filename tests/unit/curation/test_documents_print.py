"""Print: what stands on a printed page beside its text: headers that change, footnotes, words broken over pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Document
from realign_daemon.curation.documents.extract import extract

SENTENCES = Chunking(policy="sentence")
Draw = Callable[[FPDF], None]


class Print(FPDF):
    """Pages with what `head` and `foot` draw on each."""

    def __init__(self, head: Draw | None = None, foot: Draw | None = None) -> None:
        self._head, self._foot = head, foot
        super().__init__()

    def header(self) -> None:
        if self._head:
            self._head(self)

    def footer(self) -> None:
        if self._foot:
            self._foot(self)

    def say(self, text: str, size: float = 11) -> None:
        """Lines of text in this size."""
        self.set_font("Times", size=size)
        self.multi_cell(0, 6, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def prose(subject: str, sentences: int = 30) -> str:
    return " ".join(f"The {subject} of number {number} rises in the north of the land." for number in range(sentences))


def read(folder: Path, pdf: FPDF) -> Document:
    pdf.output(str(folder / "a.pdf"))
    document = extract(folder / "a.pdf", "a.pdf")
    assert isinstance(document, Document), document
    return document


def assert_found(folder: Path, document: Document) -> None:
    """Every sentence stands at its pages and offsets, white space and line-end hyphens aside."""
    with pypdfium2.PdfDocument(folder / "a.pdf") as pdf:
        raw = [pdf[index].get_textpage().get_text_range() for index in range(len(pdf))]
    for chunk in chunks_of(document, SENTENCES):
        quoted = "".join(raw[span.page - 1][span.start : span.end] for span in chunk.spans)
        assert "".join(quoted.replace("\ufffe", "").split()) == "".join(chunk.text.split())


def kept(document: Document) -> str:
    return " ".join(block.text for block in document.blocks)


def chapters(count: int, pages_each: int, head: Draw) -> Print:
    book = Print(head)
    book.title = ""
    for chapter in range(1, count + 1):
        for page in range(pages_each):
            book.title = f"Of Water {'abcdefghijkl'[chapter]}"
            book.add_page()
            if page == 0:
                book.say(book.title, 16)
            book.say(prose(f"spring {chapter}{page}"))
    return book


def named_on_right_hand_pages(book: FPDF) -> None:
    number = book.page_no()
    book.set_font("Times", size=9)
    text = f"{number}   THE BOOK OF WATERS" if number % 2 == 0 else f"{book.title}   {number}"
    book.cell(0, 6, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def unnumbered(book: FPDF) -> None:
    book.set_font("Times", size=9)
    book.cell(0, 6, str(book.title).upper(), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


@pytest.mark.parametrize("head", [named_on_right_hand_pages, unnumbered])
@pytest.mark.parametrize(("count", "pages_each"), [(10, 1), (8, 3)])
def test_a_running_header_is_left_out_though_it_changes_with_the_chapter(
    tmp_path: Path, head: Draw, count: int, pages_each: int
) -> None:
    document = read(tmp_path, chapters(count, pages_each, head))
    assert "water" not in kept(document).lower()
    assert [section.title for section in document.sections] == [
        f"Of Water {'abcdefghijkl'[chapter]}" for chapter in range(1, count + 1)
    ]
    assert_found(tmp_path, document)


def test_titles_that_are_numbered_as_their_few_pages_are_stay(tmp_path: Path) -> None:
    book = Print()
    for number, title in enumerate(("Introduction", "Methods", "Results"), start=1):
        book.add_page()
        book.say(f"{number} {title}")
        book.say(prose(title))
    assert all(title in kept(read(tmp_path, book)) for title in ("1 Introduction", "2 Methods", "3 Results"))


def footnoted(book: FPDF) -> None:
    book.set_y(-40)
    book.set_font("Times", size=8)
    number = book.page_no()
    for text in (
        f"{number} A note on page {number} tells",
        f"of a well of {number} feet.",
        f"* And another of {number}.",
    ):
        book.cell(0, 4, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    book.set_font("Times", size=10)
    book.cell(0, 6, f"- {book.page_no()} -", align="C")


def test_a_sentence_goes_on_over_the_footnotes_of_its_page_which_follow_it_one_by_one(tmp_path: Path) -> None:
    book = Print(foot=footnoted)
    for page in range(1, 4):
        book.add_page()
        begin = f"a cold lake number {page}. " if page > 1 else ""
        book.say(f"{begin}{prose(f'river {page}', 12)} Here brook {page} falls into")
    document = read(tmp_path, book)
    sentences = [chunk.text for chunk in chunks_of(document, SENTENCES)]
    assert "Here brook 1 falls into a cold lake number 2." in sentences
    assert "Here brook 2 falls into a cold lake number 3." in sentences
    notes = [text for text in sentences if "note on" in text or "another" in text]
    assert notes == [
        note
        for page in range(1, 4)
        for note in (f"{page} A note on page {page} tells of a well of {page} feet.", f"* And another of {page}.")
    ]
    assert_found(tmp_path, document)


def test_a_page_in_small_type_has_no_footnotes(tmp_path: Path) -> None:
    book = Print()
    for size in (11, 11, 8):
        book.add_page()
        book.say(prose(f"river {size}", 12), size)
    assert kept(read(tmp_path, book)).count("number 11") == 3


def test_a_word_that_is_broken_at_a_pages_end_is_whole_over_header_and_page_number(tmp_path: Path) -> None:
    book = Print(named_on_right_hand_pages)
    for page in range(1, 7):
        book.title = "Of Rivers"
        book.add_page()
        begin = f"ging brook {page}. " if page > 1 else ""
        book.say(f"{begin}{prose(f'lake {page}', 8)} There is a ra-")
    document = read(tmp_path, book)
    assert [f"There is a raging brook {page}." in kept(document) for page in range(2, 7)] == [True] * 5
    assert_found(tmp_path, document)


def test_headings_are_matched_with_an_outline_that_leaves_their_numbers_out(tmp_path: Path) -> None:
    book = Print()
    book.add_page()
    for title, heading in (
        ("Introduction", "1 Introduction"),
        ("Earlier work", "1.1. Earlier work"),
        ("Proofs", "A Proofs"),
    ):
        book.start_section(title)
        book.say(heading)
        book.say(f"What stands below {title.lower()}.")
    assert [(chunk.section, chunk.text) for chunk in chunks_of(read(tmp_path, book), Chunking())] == [
        (title, f"What stands below {title.lower()}.") for title in ("Introduction", "Earlier work", "Proofs")
    ]


def test_an_entry_of_the_outline_whose_words_are_not_there_heads_what_stands_below_its_target(tmp_path: Path) -> None:
    book = Print(named_on_right_hand_pages)
    book.title = "Of Rivers"
    book.add_page()
    for title, heading in (("North", "North"), ("A picture", ""), ("South", "South")):
        book.start_section(title)
        book.say(heading or " ")
        book.say(f"What stands below {title}.")
    document = read(tmp_path, book)
    assert [section.title for section in document.sections] == ["North", "A picture", "South"]
    assert [(chunk.section, chunk.text) for chunk in chunks_of(document, Chunking())][-3:] == [
        (title, f"What stands below {title}.") for title in ("North", "A picture", "South")
    ]


def test_of_two_lines_with_an_entrys_words_the_one_at_its_target_is_the_heading(tmp_path: Path) -> None:
    book = Print()
    book.add_page()
    book.say("Methods")  # the running header
    book.say("The end of what came before.")
    for title in ("Methods", "Results"):
        book.start_section(title)
        book.say(title)
        book.say(f"What stands below {title}.")
    assert [(chunk.section, chunk.text) for chunk in chunks_of(read(tmp_path, book), Chunking())] == [
        ("", "Methods The end of what came before."),
        ("Methods", "What stands below Methods."),
        ("Results", "What stands below Results."),
    ]
