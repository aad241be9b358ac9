"""EPUB: pages in the order of the spine, sections from the table of contents, and books that cannot be used."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Document, DocumentError
from realign_daemon.curation.documents.extract import extract

MakeEpub = Callable[..., bytes]
LOCK = '<encryption><EncryptedData><enc:EncryptionMethod Algorithm="{}"/></EncryptedData></encryption>'


def read(folder: Path, book: bytes) -> Document | DocumentError:
    path = folder / "book.epub"
    path.write_bytes(book)
    return extract(path, path.name)


def good(folder: Path, book: bytes) -> Document:
    document = read(folder, book)
    assert isinstance(document, Document), document
    return document


def sections(folder: Path, book: bytes) -> list[tuple[int, str, str]]:
    chunks = chunks_of(good(folder, book), Chunking())
    return [(chunk.page, chunk.section, chunk.text) for chunk in chunks]


def test_pages_are_the_files_of_the_spine_and_headings_give_sections(tmp_path: Path, make_epub: MakeEpub) -> None:
    book = make_epub(["<h1>North</h1><p>Cold.</p>", "<p>Still cold.</p>", "<h2>Lake</h2><p>Deep.</p>"])
    assert sections(tmp_path, book) == [
        (1, "North", "Cold.\n\nStill cold."),
        (3, "North > Lake", "Deep."),
    ]


def test_a_page_is_its_file_decoded_as_it_declares(tmp_path: Path, make_epub: MakeEpub) -> None:
    chapter = '<?xml version="1.0" encoding="windows-1252"?><html><body><p>Caf\u00e9</p></body></html>'
    document = good(tmp_path, make_epub([chapter.encode("cp1252")]))
    assert document.pages[0].text == chapter


def test_the_ncx_names_sections_where_chapters_have_no_headings(tmp_path: Path, make_epub: MakeEpub) -> None:
    ncx = """<ncx><docTitle><text>A book</text></docTitle><navMap>
        <navPoint><navLabel><text>Part I</text></navLabel><content src="text/1.xhtml"/>
          <navPoint><navLabel><text>North &amp; South</text></navLabel><content src="text/2.xhtml#n"/></navPoint>
          <navPoint><navLabel><text>East</text></navLabel><content src="text/2.xhtml#e"/></navPoint>
          <navPoint><navLabel><text>Gone</text></navLabel><content src="text/9.xhtml"/></navPoint>
        </navPoint></navMap>
        <pageList><pageTarget><navLabel><text>7</text></navLabel><content src="text/2.xhtml"/></pageTarget></pageList>
        </ncx>"""
    book = make_epub(['<img src="part.png"/>', '<p id="n">Cold.</p><p class="t" id="e">Dry.</p>'], ncx=ncx)
    assert sections(tmp_path, book) == [(2, "Part I > North & South", "Cold."), (2, "Part I > East", "Dry.")]


def test_the_navigation_file_goes_before_headings_and_those_it_does_not_name_are_below(
    tmp_path: Path, make_epub: MakeEpub
) -> None:
    nav = """<html><body><nav epub:type="toc"><h1>Contents</h1><ol><li><a href="text/1.xhtml">1. <i>North</i></a></li>
        <li><a href="text/2.xhtml">2. South</a></li></ol></nav>
        <nav epub:type="landmarks"><ol><li><a href="text/1.xhtml">Start</a></li></ol></nav></body></html>"""
    chapters = ["<h2>Chapter one</h2><p>Cold.</p><h3>Lake</h3><p>Deep.</p>", "<h2>Chapter two</h2><p>Dry.</p>"]
    assert sections(tmp_path, make_epub(chapters, nav=nav)) == [
        (1, "1. North", "Cold."),
        (1, "1. North > Lake", "Deep."),
        (2, "2. South", "Dry."),
    ]


def test_a_title_that_is_no_link_is_above_the_entries_below_it(tmp_path: Path, make_epub: MakeEpub) -> None:
    nav = """<nav epub:type="toc"><ol><li><a href="text/1.xhtml"><span>One</span></a><ol>
        <li><a href="text/1.xhtml#s">Inner</a></li></ol></li>
        <li><span>Part <i>B</i></span><ol><li><a href="text/2.xhtml">Two</a></li></ol></li>
        <li><span>Empty</span></li><li><a href="text/3.xhtml">Three</a></li></ol></nav>"""
    book = make_epub(["<p>Cold.</p><p id='s'>Deep.</p>", "<p>Dry.</p>", "<p>Hot.</p>"], nav=nav)
    assert sections(tmp_path, book) == [
        (1, "One", "Cold."),
        (1, "One > Inner", "Deep."),
        (2, "Part B > Two", "Dry."),
        (3, "Three", "Hot."),
    ]


def test_what_is_not_read_in_order_is_left_out_unless_there_is_nothing_else(
    tmp_path: Path, make_epub: MakeEpub
) -> None:
    book = make_epub(["<p>Notes.</p>", "<h1>One</h1><p>Cold.</p>", "<p>Not linear.</p>"], aside=(1, 3))
    assert sections(tmp_path, book) == [(2, "One", "Cold.")]
    book = make_epub(["<p>Notes.</p>", "<h1>One</h1>"], aside=(1,))
    assert sections(tmp_path, book) == [(1, "", "Notes.")]


def test_a_cover_or_a_plate_is_no_page_that_lacks_its_text(tmp_path: Path, make_epub: MakeEpub) -> None:
    book = make_epub(['<img src="cover.png"/>', "<nav><p>Contents</p></nav>", "<p>Cold.</p>"])
    assert good(tmp_path, book).pages_without_text == ()


def test_scrambled_fonts_lock_no_text(tmp_path: Path, make_epub: MakeEpub) -> None:
    lock = LOCK.format("http://www.idpf.org/2008/embedding")
    assert good(tmp_path, make_epub(["<p>Cold.</p>"], files={"META-INF/encryption.xml": lock})).blocks


@pytest.mark.parametrize(
    ("chapters", "files", "why"),
    [
        (["<p>a</p>"], {"META-INF/encryption.xml": LOCK.format("aes128-cbc")}, ("encrypted", "copy protection")),
        (["<p>a</p>"], {"../../evil": "x"}, ("damaged", "leads out of it")),
        (["<p>a</p>"], {"/etc/evil": "x"}, ("damaged", "leads out of it")),
        (["<p>a</p>"], {"META-INF/container.xml": "<container/>"}, ("damaged", "names no package file")),
        (
            ["<p>a</p>"],
            {"META-INF/container.xml": '<rootfile full-path="../../etc/passwd"/>'},
            ("damaged", "../../etc/passwd is missing in it"),
        ),
        ([], {}, ("damaged", "spine lists no text")),
        (["<p>a</p>"], {"OPS/p.opf": "<package/>"}, ("damaged", "spine lists no text")),
        ([b"<p>caf\xe9</p>"], {}, ("not_utf8", "in it OPS/text/1.xhtml is not UTF-8")),
        (["<img src='1.png'/>"], {}, ("scanned", "pictures but no text")),
        (["<h1>Only a title</h1>"], {}, ("empty", "no text")),
        (["a" * 70_000_000], {}, ("damaged", "unpacks to more than 64 MiB")),
    ],
)
def test_a_bad_book_is_refused_and_the_person_told_why(
    tmp_path: Path, make_epub: MakeEpub, chapters: list[str | bytes], files: dict[str, str], why: tuple[str, str]
) -> None:
    error = read(tmp_path, make_epub(chapters, files=files))
    assert isinstance(error, DocumentError)
    assert error.message.startswith("book.epub ")
    assert (error.kind, why[1] in error.message) == (why[0], True), error.message


def test_a_file_that_unpacks_to_more_than_it_states_is_damage_and_not_unpacked(
    tmp_path: Path, make_epub: MakeEpub
) -> None:
    book = make_epub(["<p>" + "a" * 10_000_000 + "</p>"])
    with zipfile.ZipFile(io.BytesIO(book)) as held:
        stated = held.getinfo("OPS/text/1.xhtml").file_size
    lying = book.replace(stated.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    error = read(tmp_path, lying)
    assert isinstance(error, DocumentError)
    assert error.kind == "damaged"


@given(cut=st.integers(0, 1_000_000), place=st.integers(0, 1_000_000), byte=st.integers(0, 255))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_book_gives_a_document_or_a_reason(
    tmp_path: Path, make_epub: MakeEpub, cut: int, place: int, byte: int
) -> None:
    book = bytearray(make_epub(["<h1>North</h1><p>Cold.</p>", "<p>Still cold.</p>"]))
    book[place % len(book)] = byte
    read(tmp_path, bytes(book))
    read(tmp_path, bytes(book[: cut % len(book)]))
