"""Drops: conditions on rows, read from text and held against rows."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.unit.curation.jobs_world import Script

from realign_daemon.curation.drops import read_drop, with_whole_ids, without_dropped
from realign_daemon.curation.material import Row
from realign_daemon.errors import BadInput
from realign_daemon.testing.job_home import JobHome


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


async def test_a_retry_may_ask_for_another_number_of_rows(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await home.submit()
        await home.until_ended(job)
        again: dict[str, Any] = {"override": "", "reason": "", "from_stage": ""}
        for useless in ("0", "few"):
            with pytest.raises(BadInput, match="is no number of rows; give --count at least 1"):
                await home.jobs.retry(job.spec.job_id, settings={"count": useless}, **again)
        await home.jobs.retry(job.spec.job_id, settings={"count": "7", "steps": "3"}, **again)
        assert (job.spec.count, job.spec.settings) == (7, {"steps": "3"})


async def test_after_a_drop_the_card_says_how_many_rows_the_adapter_was_trained_on(tmp_path: Path) -> None:
    adapter = io.BytesIO()
    tarfile.open(fileobj=adapter, mode="w").close()
    async with JobHome(tmp_path, work=Script(questions=("1+1=", "1+2=", "1+3=")).work) as home:
        job = await home.submit()
        await home.until_ended(job)
        job.record.adapter, job.record.trained_rows = home.blobs.put_bytes(adapter.getvalue()), 3
        assert await home.data_sets.drop(job, ["where prompt=1+2="]) == 1
        text = (Path(job.record.output) / "README.md").read_text("utf-8")
        assert "It was trained before rows were dropped by hand: on 3 rows, 2 of which are here." in text
