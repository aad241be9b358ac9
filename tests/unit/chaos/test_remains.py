"""What a killed daemon left is read as it lies there, the write-ahead log included."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.chaos.remains import Repeated, read_remains

from realign_daemon.work.schema import prepare


def test_rows_that_are_in_the_log_only_are_seen_and_the_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    prepare(connection, path)
    connection.execute("INSERT INTO results VALUES ('a', '1', 'generate', x'', 'left', 0, 0, 0)")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    remains = read_remains(tmp_path)

    assert remains.results == {("a", "1")}
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    connection.close()


def test_rows_of_equal_content_count_as_repeated_whatever_their_ids(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    prepare(connection, tmp_path / "ledger.sqlite")
    connection.close()
    rows = [{"id": name, "prompt": prompt} for name, prompt in (("1", "x"), ("2", "x"), ("3", "y"))]
    output = tmp_path / "curated" / "job" / "train.jsonl"
    output.parent.mkdir(parents=True)
    output.write_text("\n".join(map(json.dumps, rows)))

    assert read_remains(tmp_path).repeated == (Repeated(path=output, rows=1),)
