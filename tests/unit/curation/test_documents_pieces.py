"""Pieces: a source of any length comes from the worker child in messages that it can send, or is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

from realign_daemon.curation.documents import entry
from realign_daemon.curation.documents.chunks import Chunking, chunks_of
from realign_daemon.curation.documents.document import Document, DocumentError
from realign_daemon.curation.documents.entry import Limits, pieces_of
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.reading import PIECE, READ, Reading, read_document
from realign_daemon.worker.supervisor import Worker

SENTENCES = Chunking(policy="sentence")


def written(folder: Path, *answers: str) -> Document:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"question": "How?", "answer": answer}) for answer in answers))
    document = extract(path, path.name)
    assert isinstance(document, Document)
    return document


async def test_a_text_that_is_longer_than_a_piece_comes_back_whole(tmp_path: Path) -> None:
    answers = [str(number) * 3 * 2**20 for number in range(3)]  # each in its field and in its chunk
    document = written(tmp_path, *answers)
    asked: list[str] = []

    class Noted(Worker):
        async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
            asked.append(function)
            return await super().call(function, arguments, timeout_s=timeout_s)

    worker = Noted()
    try:
        reading = await read_document(worker, tmp_path / "rows.jsonl", "rows.jsonl", Chunking(), timeout_s=60)
    finally:
        await worker.close()
    assert isinstance(reading, Reading)
    assert [record.fields["answer"] for record in reading.records] == answers
    assert [chunk.text for chunk in reading.chunks] == [page.text for page in document.pages]
    assert asked == [READ, PIECE, PIECE]


def test_the_pieces_are_the_chunks_in_order_and_none_is_longer_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("The river is cold. " * 500)
    document = extract(path, path.name)
    assert isinstance(document, Document)
    pieces = pieces_of(document, SENTENCES, Limits(piece_bytes=5_000))
    assert not isinstance(pieces, DocumentError)
    assert tuple(item for piece in pieces for item in piece) == chunks_of(document, SENTENCES)
    assert {len(piece) for piece in pieces[:-1]} == {5_000 // (len("The river is cold.") + entry.ITEM_OVERHEAD_BYTES)}


def test_a_child_that_did_not_read_the_document_gives_the_same_pieces(tmp_path: Path) -> None:
    written(tmp_path, *(str(number) * 3 * 2**20 for number in range(2)))
    source = (str(tmp_path / "rows.jsonl"), "rows.jsonl", dict[str, object]())
    assert entry.read(*source)["pieces"] == 2
    last = entry.piece(*source, 1)
    assert entry.piece(*source, 1) == last, "and after the last piece nothing of it is kept"


def test_a_source_with_more_text_than_the_home_can_hold_is_refused_by_name_and_size(tmp_path: Path) -> None:
    document = written(tmp_path, *["a" * 2**19] * 3)  # an answer stands in its field and in its chunk
    error = pieces_of(document, Chunking(), Limits(source_bytes=2 * 2**20))
    assert isinstance(error, DocumentError)
    assert error.message == (
        "rows.jsonl cannot be used: it holds 4 MiB of text, and 2 MiB is the limit: split it into several files"
    )


def test_a_record_that_no_message_holds_is_refused_by_its_line(tmp_path: Path) -> None:
    document = written(tmp_path, "short", "a" * 2**20)
    error = pieces_of(document, Chunking(), Limits(record_bytes=2**20))
    assert isinstance(error, DocumentError)
    assert "rows.jsonl cannot be used: record 2 holds 3 MiB of text, and 1 MiB is the limit" in error.message
