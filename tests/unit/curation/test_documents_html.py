"""HTML: what of a page is read, under which heading, and how it is decoded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Chunk, Document
from realign_daemon.curation.documents.extract import extract

KATEX = (
    "<p>So <span class=katex><math><semantics><mrow><mi>x</mi><mn>2</mn></mrow>"
    '<annotation encoding="application/x-tex">x^2</annotation></semantics></math>'
    '<span aria-hidden="true">x2</span></span> it is.</p>'
)
ROWS = "<tr><th>River<th>Length<tr><td>North<td>12"


def read(folder: Path, page: str | bytes) -> Document:
    path = folder / "page.html"
    path.write_bytes(page if isinstance(page, bytes) else page.encode())
    document = extract(path, path.name)
    assert isinstance(document, Document), document
    return document


def chunks(folder: Path, page: str | bytes) -> tuple[Chunk, ...]:
    return chunks_of(read(folder, page), Chunking())


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ("<p>One<p>Two", ["One", "Two"]),
        ("<p>A <b>bold</b>er <i>step</i>.</p>", ["A bolder step."]),
        ("<p>One<br>line</p>", ["One line"]),
        ("<ul><li>One<li hidden>no<li>Two</ul>", ["One", "Two"]),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", ["a b", "c d"]),
        ("<pre>def f():\n    return 1\n</pre>", ["def f():\n    return 1"]),
        ("<nav>no</nav><p>yes</p><footer>no</footer>", ["yes"]),
        ("<div><nav>no</div><p>yes</p>", ["yes"]),
        ('<p title="a > b">yes</p>', ["yes"]),
        ("<p>1 < 2 &amp;&amp; 3 &gt 2</p>", ["1 < 2 && 3 > 2"]),
        ("<p>&notit; R&D &nonsense; &#0; &shy;</p>", ["\u00acit; R&D &nonsense; \ufffd"]),
        ("<p>yes<script>if (a</b) '</p>'</script></p><![CDATA[no]]><?no?><!-- no --> <p>too", ["yes", "too"]),
        ("<p>yes<script>never closed <p>no", ["yes"]),
        ("<p>yes<a href='never closed>, too", ["yes, too"]),
        ("<div>no</div><form><main><p>yes</main></form>no", ["yes"]),
        ("<main hidden>no</main><main>yes</main>", ["yes"]),
        ("<main><img></main><p>yes", ["yes"]),
        (KATEX, ["So x^2 it is."]),
        (
            '<p>Deep<sup class=r><a href="#n-1">[1]</a></sup>, <a href="n.html#2"><sup>2</sup></a>yes.</p>',
            ["Deep, yes."],
        ),
        ('<p>So<a epub:type="noteref" href="#1">1</a> it is<a role="doc-noteref" href="#2">*</a>.</p>', ["So it is."]),
        (
            "<p>x<sup>2</sup> is <a href='#s'>section 2</a> of <sup><a href='#m'>me</a></sup></p>",
            ["x2 is section 2 of me"],
        ),
        ('<p>One<span class="x pagenum">[Pg 12]</span> two<i epub:type="pagebreak">13</i>.</p>', ["One two."]),
        ("<math><mi>n</mi><mo>+</mo><mn>1</mn></math>", ["n+1"]),
    ],
)
def test_the_paragraphs_that_a_reader_sees_are_read(tmp_path: Path, body: str, texts: list[str]) -> None:
    assert [block.text for block in read(tmp_path, body).blocks] == texts


def test_headings_give_sections_and_an_articles_own_header_is_read(tmp_path: Path) -> None:
    page = (
        "<header><h1>The site</h1></header><article><header><h1>The <i>North</i></h1></header><p>Cold.</p>"
        "<h2>Its&nbsp;lake</h2><p>Deep.</p></article>"
    )
    assert [(chunk.section, chunk.text) for chunk in chunks(tmp_path, page)] == [
        ("The North", "Cold."),
        ("The North > Its lake", "Deep."),
    ]


def test_a_chunk_around_something_left_out_has_a_span_on_each_side(tmp_path: Path) -> None:
    page = "<p>One.</p><nav>no</nav><p>Two <b>it</b> is.</p>"
    (chunk,) = chunks(tmp_path, page)
    assert chunk.text == "One.\n\nTwo it is."
    assert [page[span.start : span.end] for span in chunk.spans] == ["One.", "Two <b>it</b> is."]


def test_a_chunk_knows_the_line_it_starts_on(tmp_path: Path) -> None:
    page = "<h1>One</h1>\n<p>First.</p>\r\n<h1>Two</h1>\n\n<p>\nSecond.</p>"
    assert [chunk.line for chunk in chunks(tmp_path, page)] == [2, 6]


def test_a_table_and_a_formula_are_counted_and_their_chunks_marked(tmp_path: Path) -> None:
    page = f"<h1>a</h1><table>{ROWS}</table><h1>b</h1>{KATEX}<h1>c</h1><table><tr><td>layout</table>"
    document = read(tmp_path, page)
    assert (document.tables, document.formulas) == (1, 1)
    assert [(chunk.has_table, chunk.has_formula) for chunk in chunks_of(document, Chunking())] == [
        (True, False),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize(
    "page",
    [
        "\ufeff<p>Caf\u00e9 \u2013</p>".encode(),
        "<p>Caf\u00e9 \u2013</p>".encode(),
        "<p>Caf\u00e9 \u2013</p>".encode("utf-16"),
        '<meta charset="iso-8859-1"><p>Caf\u00e9 \u2013</p>'.encode("cp1252"),
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252"><p>Caf\u00e9 \u2013</p>'.encode(
            "cp1252"
        ),
        '<?xml version="1.0" encoding="gb18030"?><p>Caf\u00e9 \u2013</p>'.encode("gb18030"),
        '<meta charset="utf-16"><p>Caf\u00e9 \u2013</p>'.encode(),
        '<meta charset="unicode_escape"><p>Caf\u00e9 \u2013</p>'.encode(),
    ],
)
def test_a_page_is_decoded_as_it_declares(tmp_path: Path, page: bytes) -> None:
    assert [block.text for block in read(tmp_path, page).blocks] == ["Caf\u00e9 \u2013"]


def test_five_megabytes_are_read_in_a_couple_of_seconds(tmp_path: Path) -> None:
    paragraph = "<p>" + "The <b>river</b> is <a href='x'>cold</a> &amp; falls into a lake of the north. " * 8 + "</p>\n"
    page = "<body>" + paragraph * (5_000_000 // len(paragraph))
    read(tmp_path, paragraph)  # loads the model that guesses languages
    started_s = time.process_time()
    found = chunks(tmp_path, page)
    assert time.process_time() - started_s < 10  # about 1 s on an idle machine
    assert len(found) > 1_000


@pytest.mark.parametrize(
    "hostile", ["<", "<a", "<!--", "<a b='", "</", "&", "<math>", "<p>", "<table><td>", "<![CDATA["]
)
def test_hostile_markup_costs_one_pass(tmp_path: Path, hostile: str) -> None:
    started_s = time.process_time()
    extract_hostile = tmp_path / "page.html"
    extract_hostile.write_text("<p>yes</p>" + hostile * 30_000)
    extract(extract_hostile, "page.html")
    assert time.process_time() - started_s < 10  # below 1 s; a pass for each would take minutes
