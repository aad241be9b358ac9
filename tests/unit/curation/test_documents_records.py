"""Records: which files of records are text and which are fields, and what the fields of each are."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from realign_daemon.curation.documents.chunks import Chunking, chunks_of, records_of
from realign_daemon.curation.documents.document import Document
from realign_daemon.curation.documents.extract import extract
from realign_daemon.curation.documents.reading import Reading, read_document
from realign_daemon.curation.documents.records import fields_of, raw_text
from realign_daemon.worker.supervisor import Worker

CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hello?"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "How deep?"},
    {"role": "assistant", "content": "Four metres."},
]


def written(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def read(path: Path) -> Document:
    document = extract(path, path.name)
    assert isinstance(document, Document), document
    return document


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        ({"question": "How deep?", "answer": 4.0, "hint": None}, {"question": "How deep?", "answer": "4.0"}),
        ({"question": "Which?", "choices": ["a", "\u00e9"]}, {"question": "Which?", "choices": '["a", "\u00e9"]'}),
        ({"messages": CHAT}, {"question": "How deep?", "answer": "Four metres.", "system": "Be kind."}),
        ({"messages": CHAT[:4]}, {"question": "Hello?", "answer": "Hello.", "system": "Be kind."}),
        ({"messages": CHAT, "answer": "4"}, {"question": "How deep?", "answer": "4", "system": "Be kind."}),
        ({"messages": CHAT[1:2]}, {"question": "Hello?"}),
        (
            {"conversations": [{"from": "human", "value": "How deep?"}, {"from": "gpt", "value": "Four."}]},
            {"question": "How deep?", "answer": "Four."},
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]},
            {"question": "What is it?"},
        ),
        (
            {"chosen": CHAT[1:3], "rejected": [CHAT[1], {"role": "assistant", "content": "No."}]},
            {"question": "Hello?", "chosen": "Hello.", "rejected": "No."},
        ),
        ({"prompt": CHAT[1:2], "chosen": CHAT[2:3]}, {"prompt": "Hello?", "chosen": "Hello."}),
        ({"question": "Who?", "cast": [{"role": "king"}]}, {"question": "Who?", "cast": '[{"role": "king"}]'}),
    ],
)
def test_the_fields_of_a_record(record: dict[str, Any], fields: dict[str, str]) -> None:
    assert fields_of(record) == fields


def test_the_raw_text_of_a_record_is_its_values_in_order() -> None:
    record = {"id": 7, "messages": CHAT[1:3], "none": None, "ok": True, "tags": ["\u00e9"], "note": "a\nb"}
    assert raw_text(record) == '7\nHello?\nHello.\ntrue\n["\u00e9"]\na\nb'


def test_a_text_record_is_a_section_of_its_own_named_by_its_title(tmp_path: Path) -> None:
    path = written(tmp_path, {"title": "The North", "text": "Cold."}, {"text": "Dry.", "url": "x"}, {"text": None})
    document = read(path)
    assert [(chunk.section, chunk.line, chunk.text, chunk.start) for chunk in chunks_of(document, Chunking())] == [
        ("The North", 1, "Cold.", 10),
        ("record 2", 2, "Dry.", 0),
    ]
    assert document.pages_without_text == (3,)
    assert records_of(document) == ()


def test_the_text_of_a_record_is_the_field_that_says_something_however_it_is_spelt(tmp_path: Path) -> None:
    document = read(
        written(tmp_path, {"content": "Cold.", "text": None}, {"text": "", "Body": "Dry."}, {"Text": "Hot."})
    )
    assert [(chunk.line, chunk.text) for chunk in chunks_of(document, Chunking())] == [
        (1, "Cold."),
        (2, "Dry."),
        (3, "Hot."),
    ]


def test_a_blank_line_is_no_record_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"question": "a?"}\r\n\r\n{"question": "b?"}\r\n')
    assert [record.line for record in records_of(read(path))] == [1, 3]


def test_a_line_that_is_no_record_is_told_by_its_number_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"question": "a?"}\n["b?"]\n\n{"question": "c?"}\n{"question": "d')
    document = read(path)
    assert [record.line for record in records_of(document)] == [1, 4]
    assert [(bad.line, bad.why[:30]) for bad in document.bad_lines] == [
        (2, "is a JSON array and not an obj"),
        (5, "is not JSON (Unterminated stri"),
    ]


def test_one_record_with_a_question_makes_a_file_of_fields(tmp_path: Path) -> None:
    path = written(tmp_path, {"text": "Cold."}, {"text": "Is it?", "Answer": "Yes."})
    assert [record.fields for record in records_of(read(path))] == [
        {"text": "Cold."},
        {"text": "Is it?", "Answer": "Yes."},
    ]


def test_parquet_columns_of_bytes_are_left_out_and_dates_are_text(tmp_path: Path) -> None:
    rows = [
        {
            "question": "When?",
            "picture": b"\x89PNG",
            "day": dt.date(2024, 5, 1),
            "price": Decimal("1.50"),
            "images": [{"bytes": b"x", "path": "a.png"}],
        }
    ]
    table = io.BytesIO()
    cast("Any", pq).write_table(cast("Any", pa).Table.from_pylist(rows), table)
    path = tmp_path / "rows.parquet"
    path.write_bytes(table.getvalue())
    (record,) = records_of(read(path))
    assert record.fields == {
        "question": "When?",
        "day": "2024-05-01",
        "price": "1.50",
        "images": '[{"bytes": null, "path": "a.png"}]',
    }


async def test_through_the_worker_records_are_the_chunks_of_a_reading(tmp_path: Path) -> None:
    path = written(tmp_path, {"question": "How $x^2$?", "answer": "So."}, {"question": "", "answer": ""})
    worker = Worker()
    try:
        reading = await read_document(worker, path, path.name, Chunking(), timeout_s=60)
    finally:
        await worker.close()
    assert isinstance(reading, Reading)
    assert reading.records == records_of(read(path))
    assert reading.chunks == tuple(record.chunk for record in reading.records)
    assert (reading.page_count, reading.pages_without_text, reading.formulas, reading.tables) == (2, (2,), 1, 0)
    assert [chunk.has_formula for chunk in reading.chunks] == [True]
