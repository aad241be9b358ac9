"""Sources: what is read, what is refused, and how the bytes are cut."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from realign_client.errors import BadUsage
from realign_client.sources import CHUNK_BYTES, collect, named_in, pieces
from realign_proto.v1 import curation_pb2 as pb


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Curate DPO preference pairs from ml_textbook.pdf for Qwen 7B", ("ml_textbook.pdf",)),
        ("use /data/books/a.pdf, b.TXT and (c.md).", ("/data/books/a.pdf", "b.TXT", "c.md")),
        ('pairs from "my book.pdf" please', ("my book.pdf",)),
        ("from a.pdf and again a.pdf", ("a.pdf",)),
        ("from report.docx", ("report.docx",)),
        ("from book.epub, page.html, page.xhtml and old.htm", ("book.epub", "page.html", "page.xhtml", "old.htm")),
        ("pairs in rows.jsonl, more.ndjson and train.parquet.", ("rows.jsonl", "more.ndjson", "train.parquet")),
        ("the array in rows.json", ("rows.json",)),
        ("from https://example.org/a.pdf", ()),
        ("SFT data for Qwen2.5 in v1.0", ()),
        ("Generate verified reasoning traces for GSM8K-style math problems", ()),
    ],
)
def test_documents_named_in_a_request_are_found(text: str, names: tuple[str, ...]) -> None:
    assert named_in(text) == names


def test_a_file_is_known_by_its_name_its_size_and_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_bytes(b"words")
    (source,) = collect([str(file)])
    assert (source.name, source.size_bytes, source.sha256) == ("book.txt", 5, hashlib.sha256(b"words").hexdigest())


def test_a_folder_stands_for_the_documents_below_it_that_are_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b.txt", "part/a.MD", "part/image.png", "part/c.epub", "d.jsonl", "part/._c.epub", ".git/note.md"):
        (tmp_path / name).write_text(name)
    assert [source.name for source in collect([str(tmp_path)])] == ["b.txt", "d.jsonl", "part/a.MD", "part/c.epub"]


def test_several_files_and_folders_are_one_list_in_which_every_file_stands_once_under_a_name_of_its_own(
    tmp_path: Path,
) -> None:
    for name in ("one/a.txt", "one/part/b.html", "two/a.txt", "two/part/b.html", "two/c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    given = [str(tmp_path / name) for name in ("two/c.md", "one", "two", "one/a.txt")]
    assert [source.name for source in collect(given)] == [
        "c.md",
        "one/a.txt",
        "one/part/b.html",
        "two/a.txt",
        "two/part/b.html",
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.pdf", None, "does not exist"),
        ("empty.txt", b"", "is empty"),
        ("book.docx", b"x", "save it as PDF or HTML; supported are .pdf .txt .md"),
        ("rows.json", b"[]", "one JSON object per line"),
        ("image.png", b"x", "as a document; supported are .pdf .txt .md .epub"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadUsage, match=sentence) as refused:
        collect([str(file)])
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_of_no_use_among_others_is_announced_with_its_fault_and_its_content_stays_here(tmp_path: Path) -> None:
    for name, text in (("folder/good.md", "words"), ("folder/letter.docx", "PK"), ("folder/photo.png", "x")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "empty.pdf").touch()
    good, letter, empty = collect([str(tmp_path / "folder"), str(tmp_path / "empty.pdf")])
    assert (good.name, good.fault) == ("good.md", "")
    assert (letter.name, empty.name) == ("letter.docx", "empty.pdf")
    assert "letter.docx cannot be read as a document; save it as PDF or HTML" in letter.fault
    assert "empty.pdf is empty" in empty.fault
    for bad in (letter, empty):
        (piece,) = pieces(bad)
        assert not piece.data.strip()
        assert bad.sha256 == hashlib.sha256(piece.data).hexdigest()


def test_a_folder_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="holds no source"):
        collect([str(tmp_path)])


def test_bytes_go_in_pieces_of_a_mebibyte_from_any_offset(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "a.txt").write_bytes(content)
    (source,) = collect([str(tmp_path)])
    sent = list(pieces(source))
    assert [(piece.offset, len(piece.data)) for piece in sent] == [
        (0, CHUNK_BYTES),
        (CHUNK_BYTES, len(content) - CHUNK_BYTES),
    ]
    assert b"".join(piece.data for piece in sent) == content
    assert [piece.data for piece in pieces(source, len(content) - 3)] == [content[-3:]]
    assert [piece.data for piece in pieces(source, len(content))] == [b""]


def test_a_file_that_grew_since_it_was_announced_is_sent_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"then")
    (source,) = collect([str(file)])
    file.write_bytes(b"then and now")
    assert [piece.data for piece in pieces(source)] == [b"then"]


def test_a_file_of_a_share_is_named_and_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    given = ["share:books/a.pdf", str(tmp_path / "a.txt"), "node:studio/books/part/b.pdf", "share:books/a.pdf"]
    shared, file, of_a_node = collect(given)
    assert (shared.path, shared.announcement()) == (None, pb.Source(name="share:books/a.pdf"))
    assert (file.name, of_a_node.name) == ("a.txt", "node:studio/books/part/b.pdf")
    assert list(pieces(shared)) == []
    with pytest.raises(BadUsage, match="supported are"):
        collect(["share:books/a.docx"])
