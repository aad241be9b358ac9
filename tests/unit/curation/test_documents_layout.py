"""Layout: printed pages in plain text, broken words, tables, formulas and columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from fpdf import FPDF

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Document
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.formulas import formulas_in

SENTENCES = Chunking(policy="sentence")
PROSE = "The river rises in the north and falls into a lake. Nobody lives there, and its water is cold. "


def read(folder: Path, text: str, name: str = "a.txt") -> Document:
    path = folder / name
    path.write_bytes(text.encode())
    document = extract(path, name)
    assert isinstance(document, Document), document
    return document


def test_headers_and_page_numbers_of_pages_parted_by_form_feeds_are_left_out(tmp_path: Path) -> None:
    pages = [
        f"THE BOOK   {page}\n\nPage {page} begins here and\ngoes on from {page} to the\n\n- {page} -\n"
        for page in range(4, 9)
    ]
    text = "\f".join(pages)
    document = read(tmp_path, text)
    assert "".join(block.text for block in document.blocks).count("BOOK") == 0
    (chunk,) = chunks_of(document, Chunking())
    assert chunk.text.startswith("Page 4 begins here and goes on from 4 to the Page 5 begins")
    slices = [text[span.start : span.end] for span in chunk.spans]
    assert slices == [f"Page {page} begins here and\ngoes on from {page} to the" for page in range(4, 9)]


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("A riv\u00ader is cold.", "A river is cold."),
        ("A co\u00ad\noperative lake, co-operative.", "A cooperative lake, co-operative."),
        ("The McDo\u00ad\nNald river.", "The McDoNald river."),
        ("\u00ad\nA cold lake.", "A cold lake."),
        ("An end\u00ad", "An end"),
    ],
)
def test_soft_hyphens_are_never_read(tmp_path: Path, text: str, read_as: str) -> None:
    assert [block.text for block in read(tmp_path, text).blocks] == [read_as]


def test_a_chunk_of_text_knows_the_line_it_starts_on(tmp_path: Path) -> None:
    document = read(tmp_path, "One.\n\nTwo is\nhere. Three.\r\rFour.")
    assert [(chunk.text, chunk.line) for chunk in chunks_of(document, SENTENCES)] == [
        ("One.", 1),
        ("Two is here.", 3),
        ("Three.", 4),
        ("Four.", 6),
    ]


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | 4 |", 1),
        ("a | b\n--- | ---\n1 | 2\n\nText.\n\n| c |\n| - |", 2),
        ("north    12   km\nsouth   130   km\neast      1   km", 1),
        ("a\tb\nccccc\td\ne\tf", 1),
        ("this | is no table\nand neither\nis this", 0),
        ("no  table\nhere  either\n" + PROSE, 0),
        (PROSE.replace(". ", ".  ") * 3, 0),
        ("Title\n-----\nText.", 0),
    ],
)
def test_tables_are_told_by_delimiters_or_aligned_columns(tmp_path: Path, text: str, tables: int) -> None:
    document = read(tmp_path, f"{PROSE}\n\n{text}", "a.md")
    assert document.tables == tables
    assert any(chunk.has_table for chunk in chunks_of(document, Chunking())) == bool(tables)


def test_the_rows_of_a_table_stay_apart_from_each_other_and_from_the_text(tmp_path: Path) -> None:
    text = "Before it.\n| a | b |\n|---|---|\n| 1. | 2 |\nAfter it,\nin two lines."
    (chunk,) = chunks_of(read(tmp_path, text, "a.md"), Chunking())
    assert chunk.text == "Before it.\n\n| a | b |\n|---|---|\n| 1. | 2 |\n\nAfter it, in two lines."


def test_only_the_sentences_of_a_table_are_marked(tmp_path: Path) -> None:
    document = read(tmp_path, f"{PROSE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n{PROSE}", "a.md")
    assert [chunk.has_table for chunk in chunks_of(document, SENTENCES)] == [False, False, True, False, False]


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("So $x^2 + 1$ and $n$.", 2),
        (r"So \(a_1\), \[b\] and $$c$$.", 3),
        (r"\begin{align*} a &= b \end{align*}", 1),
        ("From \u2200x \u2208 A follows y \u2264 2.", 1),
        ("It costs $5 and not $10, or US$ 5 to $6.", 0),
        ("export PATH=$HOME/bin:$PATH", 0),
        ("12 + 34 = 46", 0),
        ("An area of 3 \u00d7 4 metres.", 0),
    ],
)
def test_formulas_are_told_from_money_and_sums(text: str, formulas: int) -> None:
    assert formulas_in(text) == formulas


def test_a_table_in_a_pdf_is_told_by_its_columns_and_justified_text_is_none(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Times", size=11)
    pdf.multi_cell(0, 6, PROSE * 5, align="J")
    pdf.ln()
    with pdf.table() as table:
        for cells in (("River", "Length"), ("North", "12 km"), ("The long one", "130 km"), ("East", "1 km")):
            row = table.row()
            for cell in cells:
                row.cell(cell)
    pdf.output(str(tmp_path / "a.pdf"))
    document = extract(tmp_path / "a.pdf", "a.pdf")
    assert isinstance(document, Document)
    assert document.tables == 1
    marked = [chunk.text for chunk in chunks_of(document, SENTENCES) if chunk.has_table]
    assert marked == ["River Length\nNorth 12 km\nThe long one 130 km\nEast 1 km"]


def test_columns_of_a_pdf_are_read_one_after_the_other(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_font("Times", size=11)
    sentences = [f"Sentence {number} tells of a river in the north." for number in range(120)]
    for _ in range(2):
        pdf.add_page()
        with pdf.text_columns(ncols=2, gutter=10) as columns:
            columns.write(" ".join(sentences))
    pdf.output(str(tmp_path / "a.pdf"))
    document = extract(tmp_path / "a.pdf", "a.pdf")
    assert isinstance(document, Document)
    assert [chunk.text for chunk in chunks_of(document, SENTENCES)] == [*sentences, *sentences]
