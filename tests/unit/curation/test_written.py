"""Written: what an ended job's folder gives back is what the job wrote."""

from __future__ import annotations

from pathlib import Path

from realign_daemon.curation.export import data_set_files, write_folder
from realign_daemon.curation.material import Dropped, Row
from realign_daemon.curation.written import of_folder


def test_rows_come_back_as_they_were_written_whatever_characters_they_hold(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three\x0cfour\r\nfive"
    rows = [
        Row(fields={"id": "a", "prompt": text}, provenance={"quote": text}, is_held_out=False),
        Row(fields={"id": "b", "prompt": text}, provenance={"quote": text}, is_held_out=True),
    ]
    dropped = [Dropped(stage="s", reason="a tie", content={"question": text})]
    write_folder(tmp_path / "out", data_set_files(rows, dropped, summary={}, card=""), adapter=None)
    for name in ("train.jsonl", "valid.jsonl", "provenance.jsonl", "rejected.jsonl"):
        assert len((tmp_path / "out" / name).read_text("utf-8").splitlines()) == (
            2 if name == "provenance.jsonl" else 1
        )
    found = of_folder(tmp_path / "out")
    assert found.rows == tuple(rows)
    assert found.dropped == tuple(dropped)
