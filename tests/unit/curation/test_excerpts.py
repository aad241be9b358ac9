"""Excerpts: parts of an output folder are what reading the whole of it gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realign_daemon.curation.excerpts import MOST_INDEXES, Excerpts
from realign_daemon.curation.export import data_set_files, lines, row_id
from realign_daemon.curation.material import Dropped, Row
from realign_daemon.curation.written import EXHIBITS, Written, of_folder
from realign_daemon.errors import BadInput, NotFound

STAGES = ("score", "train")
texts = st.text(st.sampled_from('a"{\u2028\n\\é:'), max_size=6)


def row(text: str, *, is_held_out: bool = False) -> Row:
    fields = {"prompt": text}
    return Row(fields={"id": row_id(fields), **fields}, provenance={"quote": text}, is_held_out=is_held_out)


def written(folder: Path, whole: Written) -> None:
    files = data_set_files(whole.rows, whole.dropped, summary={}, card="")
    shown = ({"stage": stage, "item": item} for stage, items in whole.exhibits.items() for item in items)
    folder.mkdir(exist_ok=True)
    for name, data in {**files, EXHIBITS: lines(shown)}.items():
        (folder / name).write_bytes(data)


@st.composite
def wholes(draw: st.DrawFn) -> Written:
    rows = draw(st.dictionaries(texts, st.booleans(), max_size=5))
    dropped = draw(st.lists(st.tuples(st.sampled_from(STAGES), texts), max_size=5))
    shown = draw(st.dictionaries(st.sampled_from(STAGES), st.lists(texts, min_size=1, max_size=4)))
    return Written(
        rows=tuple(row(text, is_held_out=is_held_out) for text, is_held_out in rows.items()),
        dropped=tuple(Dropped(stage=stage, reason=text, content={"question": text}) for stage, text in dropped),
        exhibits={stage: [{"said": text} for text in items] for stage, items in shown.items()},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wholes(), st.integers(0, 7), st.sampled_from(("", *STAGES)), st.booleans())
def test_an_excerpt_is_that_of_the_whole(tmp_path: Path, whole: Written, n: int, stage: str, rejected: bool) -> None:
    written(tmp_path / "out", whole)
    found = Excerpts().sample(tmp_path / "out", n=n, stage=stage, rejected=rejected)
    assert found == of_folder(tmp_path / "out").excerpt(n=n, stage=stage, rejected=rejected)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wholes())
def test_every_row_is_found_by_its_id(tmp_path: Path, whole: Written) -> None:
    written(tmp_path / "out", whole)
    for one in whole.rows:
        assert Excerpts().row(tmp_path / "out", str(one.fields["id"])) == one


def test_the_beginning_of_an_id_will_do_where_it_means_one_row(tmp_path: Path) -> None:
    rows = [row(str(number)) for number in range(20)]  # more than there are hex digits
    written(tmp_path / "out", Written(rows=tuple(rows), dropped=(), exhibits={}))
    excerpts = Excerpts()
    ids = [str(one.fields["id"]) for one in rows]
    assert excerpts.row(tmp_path / "out", ids[0][:8]).fields["id"] == ids[0]
    twice = next(name[0] for name in ids if sum(other.startswith(name[0]) for other in ids) > 1)
    with pytest.raises(BadInput, match="several rows begin with"):
        excerpts.row(tmp_path / "out", twice)
    for nobody in ("x", "", '"'):
        with pytest.raises(NotFound):
            excerpts.row(tmp_path / "out", nobody)


def test_an_index_is_made_anew_when_the_file_has_changed_and_only_so_many_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    written(folder, Written(rows=(row("a"), row("b")), dropped=(), exhibits={}))
    excerpts = Excerpts()

    def prompts() -> list[Any]:
        return [item["prompt"] for item in excerpts.sample(folder, n=9, stage="", rejected=False).items]

    assert sorted(prompts()) == ["a", "b"]
    written(folder, Written(rows=(row("c"),), dropped=(), exhibits={}))
    os.utime(folder / "train.jsonl", ns=(1, 1))
    assert prompts() == ["c"]
    for number in range(MOST_INDEXES + 3):
        written(tmp_path / str(number), Written(rows=(), dropped=(), exhibits={}))
        excerpts.sample(tmp_path / str(number), n=1, stage="", rejected=False)
    assert len(excerpts) == MOST_INDEXES


def test_of_a_row_that_was_rejected_it_is_said_by_which_stage_and_why(tmp_path: Path) -> None:
    gone = row("gone").fields
    dropped = Dropped(stage="hygiene", reason="asked already", content=gone)
    written(tmp_path / "out", Written(rows=(row("here"),), dropped=(dropped,), exhibits={}))
    with pytest.raises(NotFound, match=f"row {gone['id']} was rejected in hygiene: asked already"):
        Excerpts().row(tmp_path / "out", gone["id"][:12])
    with pytest.raises(NotFound, match="there is no row 'z'"):
        Excerpts().row(tmp_path / "out", "z")
