"""Bad sources: each is refused in one sentence that names the file and says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fpdf import FPDF

from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.document import DocumentError
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.jsonlines import MOST_BAD_LINES
from realign_daemon.curation.documents.reading import Reading, read_document
from realign_daemon.worker.supervisor import Worker

MakeBook = Callable[..., Path]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
ZIP = b"PK\x03\x04" + bytes(40)


def refusal(path: Path) -> DocumentError:
    error = extract(path, path.name)
    assert isinstance(error, DocumentError)
    assert path.name in error.message
    assert error.file == path.name
    return error


@pytest.mark.parametrize(
    ("name", "data", "kind", "says"),
    [
        ("empty.pdf", b"", "empty", "check that it was saved"),
        ("empty.txt", b" \n\n", "empty", "check that it was saved"),
        ("photo.pdf", PNG, "wrong_extension", "a PNG picture"),
        ("report.pdf", ZIP, "wrong_extension", "as Word and EPUB files are"),
        ("junk.pdf", b"hello there", "wrong_extension", "use a real PDF"),
        ("book.txt", b"%PDF-1.7\n...", "wrong_extension", r"rename it to \.pdf"),
        ("notes.md", PNG, "wrong_extension", "a PNG picture"),
        ("utf16.txt", "\ufeffwords".encode("utf-16-le"), "wrong_extension", "UTF-16"),
        ("report.docx", ZIP, "unsupported", r"only PDF \(\.pdf\), plain text"),
        ("rows.json", b'[{"text": "a"}]', "unsupported", "one object per line"),
        ("rows.csv", b"a,b", "unsupported", r"a \.jsonl file"),
        ("rows.jsonl.gz", b"\x1f\x8b", "unsupported", "unpack it"),
        ("slides.pptx", ZIP, "unsupported", "export it as PDF"),
        ("empty.epub", b"", "empty", "check that it was saved"),
        ("empty.html", b"\n", "empty", "check that it was saved"),
        ("rows.epub", b"hello", "wrong_extension", "use a real EPUB"),
        ("report.epub", ZIP + b"[Content_Types].xml", "wrong_extension", "an Office file: use a real EPUB"),
        ("archive.epub", ZIP, "wrong_extension", "a zip archive"),
        ("book.pdf", ZIP + b"META-INF/container.xml", "wrong_extension", r"an EPUB: rename it to \.epub"),
        ("cut.epub", ZIP + b"META-INF/container.xml", "damaged", "export or download it again"),
        ("photo.html", PNG, "wrong_extension", "a PNG picture"),
        ("utf16.html", "words".encode("utf-16-le"), "wrong_extension", "UTF-16"),
        ("page.txt", b"\n<!DOCTYPE html><p>a", "wrong_extension", r"an HTML page: rename it to \.html"),
        ("latin.html", b"<p>caf\xe9</p>", "not_utf8", r"line 1\): save it as UTF-8"),
        ("declared.html", b"<meta charset=cp1252><p>\x81</p>", "not_utf8", "says that it is cp1252"),
        ("blank.html", b"<nav>Home</nav><h1>Title</h1>", "empty", "navigation"),
        ("packed.jsonl", b"\x1f\x8b\x08", "wrong_extension", "a gzip archive: unpack it"),
        ("utf16.jsonl", '{"text": "a"}'.encode("utf-16"), "wrong_extension", "UTF-16"),
        ("latin.jsonl", b'{"text": "caf\xe9"}', "not_utf8", r"line 1\): save it as UTF-8"),
        ("cut.jsonl", b'\n\n{"text": ', "damaged", r"no line .* line 3 is not JSON \(.*\): write one JSON object"),
        ("list.jsonl", b'[\n{"text": "a"},\n]', "damaged", "line 1 is not JSON"),
        ("list.jsonl", b'["text"]', "damaged", "line 1 is a JSON array and not an object"),
        (
            "other.jsonl",
            b'{"text": "a"}' + b"\n]" * (MOST_BAD_LINES + 1),
            "damaged",
            "more than 10000 lines are no JSON",
        ),
        ("word.jsonl", b'"text"', "damaged", "line 1 is a JSON value"),
        ("half.jsonl", b'{"text": "\\ud800"}', "damaged", "line 1 holds one half"),
        ("deep.jsonl", b'{"text": ' + b"[" * 100_000, "damaged", "line 1 is nested too deep"),
        ("nothing.jsonl", b'{"text": " "}\n{"text": null}', "empty", "empty fields"),
        ("rows.parquet", b'{"text": "a"}', "wrong_extension", "use a real Parquet file"),
        ("cut.parquet", b"PAR1" + bytes(40), "damaged", "download it again"),
        ("locked.parquet", b"PARE" + bytes(40), "encrypted", "without encryption"),
        ("README", b"words", "unsupported", "without an extension"),
        ("latin.txt", b"one\ntwo caf\xe9\n", "not_utf8", r"line 2\): save it as UTF-8"),
        ("cut.pdf", b"%PDF-1.7\n1 0 obj\n<<", "damaged", "export or download it again"),
    ],
)
def test_a_bad_file_is_refused_and_the_person_told_what_to_do(
    tmp_path: Path, name: str, data: bytes, kind: str, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    error = refusal(path)
    assert error.kind == kind
    assert re.search(says, error.message), error.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.pdf").kind == "missing"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).kind == "missing"


def test_an_encrypted_pdf_is_refused(make_book: MakeBook) -> None:
    error = refusal(make_book([("One", ["Words."])], password="secret"))
    assert error.kind == "encrypted"
    assert "without its password" in error.message


def test_a_pdf_that_opens_without_a_password_is_read(tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Times", size=11)
    pdf.cell(text="Anybody may read this.")
    pdf.set_encryption(owner_password="owner")
    pdf.output(str(tmp_path / "open.pdf"))
    assert not isinstance(extract(tmp_path / "open.pdf", "open.pdf"), DocumentError)


def test_a_scanned_pdf_is_refused_with_the_way_out(scanned_pdf: Path) -> None:
    error = refusal(scanned_pdf)
    assert error.kind == "scanned"
    assert "text recognition" in error.message


async def test_through_the_worker_a_document_and_a_refusal_come_back_as_values(
    make_book: MakeBook, scanned_pdf: Path
) -> None:
    worker = Worker()
    book = make_book([("Chapter 1", ["The river is cold. Nobody lives there."])])
    try:
        good = await read_document(worker, book, "my book.pdf", Chunking(policy="sentence"), timeout_s=60)
        bad = await read_document(worker, scanned_pdf, "scan.pdf", Chunking(), timeout_s=60)
    finally:
        await worker.close()
    assert isinstance(good, Reading)
    assert [chunk.text for chunk in good.chunks] == ["The river is cold.", "Nobody lives there."]
    assert (good.name, good.sections, good.page_count) == ("my book.pdf", ("Chapter 1",), 1)
    assert bad == extract(scanned_pdf, "scan.pdf")
