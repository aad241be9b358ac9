"""Drops: conditions on rows, read from text and held against rows."""

from __future__ import annotations

from typing import Any

import pytest

from realign_daemon.curation.drops import read_drop, with_whole_ids, without_dropped
from realign_daemon.curation.material import Row
from realign_daemon.errors import BadInput


def row(name: str, *, page: int = 1, source: str = "books/a.pdf", **fields: Any) -> Row:
    provenance = {"source": {"name": source, "sha256": "5a"}, "spans": [{"page": page, "start": 0, "end": 3}]}
    return Row(fields={"id": name, **fields}, provenance=provenance | {"judge": {"gap": 0.5}}, is_held_out=False)


@pytest.mark.parametrize(
    ("condition", "dropped"),
    [
        ("page 3", ["bb"]),
        ("page 1 of a.pdf", ["aa"]),
        ("page 1 of books/a.pdf", ["aa"]),
        ("page 3 of b.pdf", []),
        ("source a.pdf", ["aa", "bb"]),
        ("source books/a.pdf", ["aa", "bb"]),
        ("source 5a", ["aa", "bb", "cc"]),
        ("row c", ["cc"]),
        ("where label=abstain", ["aa"]),
        ("where judge.gap=0.5", ["aa", "bb", "cc"]),
        ("where label=other", []),
        ("where nothing.at.all=1", []),
        ("page 9", []),
    ],
)
def test_a_condition_names_the_rows_that_it_holds_for(condition: str, dropped: list[str]) -> None:
    rows = [row("aa", label="abstain"), row("bb", page=3), row("cc", source="b.pdf")]
    kept, gone = without_dropped(rows, [condition], stage="drop")
    assert [one.content["id"] for one in gone] == dropped
    assert [one.fields["id"] for one in kept] == [one.fields["id"] for one in rows if one.fields["id"] not in dropped]
    assert all(one.reason == f"dropped by hand: {condition}" for one in gone)


@pytest.mark.parametrize("text", ["", "page", "where label", "where =x", "chapter 3"])
def test_what_says_not_which_rows_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="says not which rows to drop"):
        read_drop(text)


def test_a_rows_id_may_be_shortened_as_long_as_it_means_one_row() -> None:
    rows = [row("aa1"), row("aa2"), row("bb1")]
    assert with_whole_ids(["row b", "page 1", "row zz"], rows) == ["row bb1", "page 1", "row zz"]
    with pytest.raises(BadInput, match="2 rows begin with 'aa'"):
        with_whole_ids(["row aa"], rows)
