"""Places: whoever opens a source at a chunk's pages and offsets, whatever its kind, finds the chunk's text there."""

from __future__ import annotations

import html
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.documents.chunks import Chunking, chunks_of, records_of
from realign_daemon.curation.documents.document import Chunk, Document, Span
from realign_daemon.curation.documents.extract import extract

# The first document loads the model that guesses languages, which takes longer than a test may.
unhurried = settings(deadline=None, max_examples=40)


def read(data: bytes, name: str) -> Document:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        document = extract(path, name)
    assert isinstance(document, Document), document
    return document


def squeezed(text: str) -> str:
    return "".join(text.replace("\u00ad", "").split())


def seen(markup: str) -> str:
    """What is left of markup without its tags, with its entities resolved."""
    return squeezed(html.unescape(re.sub(r"<!--.*?-->|<[/!?a-zA-Z][^>]*>", "", markup, flags=re.DOTALL)))


def found(chunk: Chunk, pages: dict[int, str], clean: Callable[[str], str]) -> str:
    return "".join(clean(pages[span.page][span.start : span.end]) for span in chunk.spans)


# Pairs of markup and what a reader sees of it.
Shown = tuple[str, str]
words = st.sampled_from(["river", "North,", "lake.", "It", "$x^2$", "1 < 2", "R&D", "a;b", "\u00e9t\u00e9"]).map(
    lambda word: (word, word)
)
entities = st.sampled_from(
    [
        "&amp;",
        "&lt;p&gt;",
        "caf&eacute;",
        "&#8212;",
        "&#x1F600;",
        "&nbsp;",
        "co&shy;ld",
        "x\u00ady",
        "&nonsense;",
        "&copy 1",
    ]
).map(lambda markup: (markup, html.unescape(markup)))
blanks = st.sampled_from([" ", "\n  ", "\t", "<br/>", "\r\n"]).map(lambda blank: (blank, " "))
hidden = st.sampled_from(
    [
        "<script>if (a < b) { write('<p>no</p>') }</script>",
        "<style>p > a { color: red }</style>",
        "<!-- not > this -->",
        "<span hidden>no</span>",
        "<i aria-hidden='true'>no</i>",
        '<b style="display: none">no <u>way</u></b>',
        "<select><option>no</select>",
    ]
).map(lambda markup: (markup, ""))


def wrapped(inner: st.SearchStrategy[Shown], tags: list[str]) -> st.SearchStrategy[Shown]:
    return st.tuples(st.sampled_from(tags), inner).map(
        lambda pair: (f'<{pair[0]} class="a hidden none">{pair[1][0]}</{pair[0]}>', pair[1][1])
    )


def together(pieces: st.SearchStrategy[Shown], most: int) -> st.SearchStrategy[Shown]:
    return st.lists(pieces, min_size=1, max_size=most).map(
        lambda pairs: ("".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs))
    )


phrases = st.recursive(
    words | entities | blanks | hidden,
    lambda inner: wrapped(together(inner, 4), ["b", "em", "a", "span", "sub", "code"]),
    max_leaves=6,
)
paragraphs = wrapped(together(phrases, 12), ["p", "div", "li", "td", "blockquote", "pre", "dd"])
left_out = wrapped(together(phrases, 3), ["nav", "aside", "footer", "header", "form"]).map(lambda pair: (pair[0], ""))
bodies = together(paragraphs | phrases | left_out, 12).map(
    lambda pair: (pair[0] + "<p>The end.</p>", pair[1] + "The end.")
)
limits = st.builds(
    Chunking,
    policy=st.sampled_from(["passage", "sentence"]),
    max_words=st.integers(min_value=3, max_value=60),
    max_characters=st.integers(min_value=30, max_value=400),
)


@given(bodies, limits)
@unhurried
def test_html_is_found_at_its_offsets_and_all_that_is_seen_of_it_is_in_a_chunk(body: Shown, chunking: Chunking) -> None:
    markup = f"<!DOCTYPE html>\n<html><head><title>no</title></head><body>{body[0]}</body></html>"
    chunks = chunks_of(read(markup.encode(), "a.html"), chunking)
    assert [found(chunk, {1: markup}, seen) for chunk in chunks] == [squeezed(chunk.text) for chunk in chunks]
    assert "".join(squeezed(chunk.text) for chunk in chunks) == squeezed(body[1])


@given(chapters=st.lists(bodies, min_size=1, max_size=4), chunking=limits)
@unhurried
def test_a_book_is_found_in_the_files_of_its_spine(
    make_epub: Callable[..., bytes], chapters: list[Shown], chunking: Chunking
) -> None:
    book = make_epub([f"<h1>{number}</h1>{chapter[0]}" for number, chapter in enumerate(chapters)])
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        pages = {number: archive.read(f"OPS/text/{number}.xhtml").decode() for number in range(1, len(chapters) + 1)}
    document = read(book, "a.epub")
    chunks = chunks_of(document, chunking)
    assert {page.number: page.text for page in document.pages} == pages
    assert [found(chunk, pages, seen) for chunk in chunks] == [squeezed(chunk.text) for chunk in chunks]
    assert "".join(squeezed(chunk.text) for chunk in chunks) == squeezed("".join(chapter[1] for chapter in chapters))


texts = st.lists(
    st.sampled_from(["A river.", "co\u00adld", "co\u00ad\nld", " ", "\n\n", "\r\n", "\t", "\f", "Lake!"])
).map(lambda pieces: "".join(pieces) + "End.")


@given(texts, limits)
@unhurried
def test_text_is_found_at_its_offsets(text: str, chunking: Chunking) -> None:
    chunks = chunks_of(read(text.encode(), "a.txt"), chunking)
    assert [found(chunk, {1: text}, squeezed) for chunk in chunks] == [squeezed(chunk.text) for chunk in chunks]


markdown = st.lists(
    st.sampled_from(
        [
            *(
                "A river.",
                "# Head\n",
                "\n\n",
                "\n",
                "\r\n",
                "```\n",
                "~~~\n",
                "    x = 1\n",
                "\tif:\n",
                "- it\n",
                "| a | b |\n",
            ),
            *(
                "|--|--|\n",
                "---\n",
                "===\n",
                "<!-- c -->\n",
                "<!--\n",
                "-->\n",
                "[a]: b\n",
                "co\u00ad\nld",
                "> q\n",
                "k: v\n",
            ),
        ]
    )
).map(lambda pieces: "".join(pieces) + "\n\nEnd.")


@given(markdown, limits)
@unhurried
def test_markdown_is_found_at_its_offsets(text: str, chunking: Chunking) -> None:
    chunks = chunks_of(read(text.encode(), "a.md"), chunking)
    assert [found(chunk, {1: text}, squeezed) for chunk in chunks] == [squeezed(chunk.text) for chunk in chunks]
    assert all(chunk.text.strip() for chunk in chunks)


values: st.SearchStrategy[Any] = st.one_of(
    st.text(alphabet="ab \n\u00e9\U0001f600"), st.integers(-9, 9), st.booleans(), st.none(), st.lists(st.integers(0, 3))
)


def raw(record: dict[str, Any]) -> str:
    """The page of a record as the docs define it."""
    return "\n".join(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for value in record.values()
        if value is not None
    )


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from("abc"), values), texts), min_size=1, max_size=5), limits)
@unhurried
def test_a_text_record_is_found_in_its_own_values(rows: list[tuple[dict[str, Any], str]], chunking: Chunking) -> None:
    records = [{**before, "text": text, "z": True} for before, text in rows]
    data = "\n".join(json.dumps(record) for record in records)
    chunks = chunks_of(read(data.encode(), "a.jsonl"), chunking)
    pages = {number: raw(record) for number, record in enumerate(records, start=1)}
    assert [found(chunk, pages, squeezed) for chunk in chunks] == [squeezed(chunk.text) for chunk in chunks]
    assert [chunk.line for chunk in chunks] == [chunk.page for chunk in chunks]
    assert {chunk.page for chunk in chunks} == set(pages)


def test_a_field_record_is_the_same_from_json_lines_and_from_parquet() -> None:
    records: list[dict[str, Any]] = [
        {"question": "How deep?\nIn metres.", "answer": 4, "tests": ["depth() == 4"], "is_hard": False},
        {"question": "Caf\u00e9?", "answer": 12, "tests": [], "is_hard": True},
    ]
    table = io.BytesIO()
    cast("Any", pq).write_table(cast("Any", pa).Table.from_pylist(records), table)
    lines = "\n".join(json.dumps(record) for record in records)
    for data, name in ((lines.encode(), "a.jsonl"), (table.getvalue(), "a.parquet")):
        first, second = records_of(read(data, name))
        assert first.fields == {
            "question": "How deep?\nIn metres.",
            "answer": "4",
            "tests": '["depth() == 4"]',
            "is_hard": "false",
        }
        for number, record in ((1, first), (2, second)):
            text = raw(records[number - 1])
            assert (record.line, record.chunk.line, record.chunk.text) == (number, number, text)
            assert record.chunk.spans == (Span(page=number, start=0, end=len(text)),)
