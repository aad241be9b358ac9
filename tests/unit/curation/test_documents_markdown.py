"""Markdown: what is a heading, what is code, and what nobody reads."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Document
from realign_daemon.curation.documents.extract import extract


def read(folder: Path, text: str) -> Document:
    path = folder / "a.md"
    path.write_bytes(text.encode())
    document = extract(path, path.name)
    assert isinstance(document, Document), document
    return document


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("# C# and F#\n\nText.", ["C# and F#"]),
        ("## Closed ##\n\nText.", ["Closed"]),
        ("One\n===\n\nText.\n\nTwo\n---\n\nText.", ["One", "Two"]),
        ("Two\nlines\n---\n\nText.", []),
        ("- item\n---\n\nText.", []),
        ("Text.\n\n    # code\n\n#nothing\n\n####### seven", []),
        ("Text.\n\n\t# code", []),
        ("````\n```\n# code\n````\n\n# One\n\nText.", ["One"]),
        ("~~~\n``` x\n# code\n~~~\n\n# One\n\nText.", ["One"]),
        ("```py\n# code\n``` no end\n# code\n```\n# One\n\nText.", ["One"]),
        ("`` ` `` is no fence\n\n# One\n\nText.", ["One"]),
        ("---\ntitle: A\n# no\n---\n# One\n\nText.", ["One"]),
        ("<!-- \n# no\n-->\n# One\n\nText.", ["One"]),
    ],
)
def test_what_is_a_heading(tmp_path: Path, text: str, titles: list[str]) -> None:
    assert [section.title for section in read(tmp_path, text).sections] == titles


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("---\ntitle: A\n---\n\nText.", ["Text."]),
        ("+++\ntitle = 'A'\n+++\nText.", ["Text."]),
        ("---\n\nText.\n\n---\n\nMore.", ["Text.", "More."]),
        ("---\ntitle: never closed\n\nText.", ["title: never closed", "Text."]),
        ("<!-- toc -->\nText. <!-- seen -->", ["Text. <!-- seen -->"]),
        ("<!-- never closed\n\nText.", ["<!-- never closed", "Text."]),
        ("Text [a].\n\n[a]: http://x.org 'Title'\n[^1]: A note.", ["Text [a].", "[^1]: A note."]),
        ("- one\n  more\n- two\n1. three", ["- one more", "- two", "1. three"]),
        ("Text:\n```\na\n\n  b\n```\nMore.", ["Text:", "```\na", "  b\n```", "More."]),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, blocks: list[str]) -> None:
    assert [block.text for block in read(tmp_path, text).blocks] == blocks


def test_code_keeps_its_lines_and_its_indentation(tmp_path: Path) -> None:
    code = "```python\r\ndef f():\r\n\tif x:\r\n\t\treturn 1\r\n\r\n# end\r\n```"
    (chunk,) = chunks_of(read(tmp_path, f"# F\r\n\r\n{code}\r\n"), Chunking())
    assert chunk.text == code.replace("\r\n", "\n")
    assert chunk.spans[0].end - chunk.spans[0].start == len(code)


def test_long_code_is_cut_between_lines(tmp_path: Path) -> None:
    code = "\n".join(f"value_{number}=compute()" for number in range(60))
    chunks = chunks_of(read(tmp_path, f"```\n{code}\n```"), Chunking(max_characters=100))
    lines = [line for chunk in chunks for line in chunk.text.split("\n")]
    assert lines == ["```", *code.split("\n"), "```"]


def test_what_is_left_out_is_in_no_span(tmp_path: Path) -> None:
    text = "One.\n\n<!-- no\nno -->\n\nTwo.\n\n***\n\nThree."
    (chunk,) = chunks_of(read(tmp_path, text), Chunking())
    assert [text[span.start : span.end] for span in chunk.spans] == ["One.", "Two.", "Three."]


@pytest.mark.parametrize("hostile", ["<!--\n", "```\n", "---\n", "[a]: x\n", "> # a\n", "`", "* * "])
def test_hostile_markdown_costs_one_pass(tmp_path: Path, hostile: str) -> None:
    began = time.process_time()
    read(tmp_path, f"Text.\n\n{hostile * (400_000 // len(hostile))}")
    assert time.process_time() - began < 5
