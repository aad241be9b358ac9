"""What befalls groups in the chaos runs, and how its cost is read."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from tests.chaos.injuries import KINDS, Injury, What, injuries, victim
from tests.chaos.pauses import Course
from tests.chaos.recovery import unlikeness
from tests.chaos.rows import Rows, read_rows

COURSE = Course(formed_unix_s=(10.0, 30.0), kept_unix_s=(12.0, 19.0, 20.5, 34.0))


def test_the_same_seed_gives_the_same_injuries_and_each_kind_comes_before_one_comes_again() -> None:
    drawn = injuries(random.Random(7), len(KINDS))

    assert drawn == injuries(random.Random(7), len(KINDS))
    assert {(injury.what, injury.how) for injury in drawn} == set(KINDS)


@pytest.mark.parametrize(
    ("what", "group", "home", "expected"),
    [
        ("home", ("a", "b"), "c", ("c", "home")),
        ("head", ("a", "b"), "b", ("a", "head")),
        ("head", ("a", "b"), "a", ("b", "member")),
        ("member", ("a", "b"), "b", ("a", "head")),
        ("member", ("a", "b", "c"), "b", ("c", "member")),
    ],
)
def test_neither_a_head_nor_a_member_that_is_hit_is_the_home(
    what: What, group: tuple[str, ...], home: str, expected: tuple[str, What]
) -> None:
    injury = Injury(what=what, how="killed", after_s=1.0, pick=0.9, away_s=1.0)

    assert victim(injury, group, home) == expected


def test_what_a_lost_group_had_ready_ends_no_pause() -> None:
    assert COURSE.resumed_unix_s(20.0, breaks=True) == 34.0
    assert COURSE.resumed_unix_s(20.0, breaks=False) == 20.5
    assert COURSE.resumed_unix_s(31.0, breaks=True) is None


def test_rows_of_other_text_are_counted_once_each(tmp_path: Path) -> None:
    def rows(name: str, *chosen: str) -> Path:
        (tmp_path / name).mkdir()
        for file in ("train", "valid"):
            texts = chosen if file == "train" else ()
            (tmp_path / name / f"{file}.jsonl").write_text("\n".join(json.dumps({"chosen": one}) for one in texts))
        units = (json.dumps({"unit": f"of {one}"}) for one in chosen)
        (tmp_path / name / "provenance.jsonl").write_text("\n".join(units))
        return tmp_path / name

    reference = read_rows(rows("reference", "x", "y", "z"))

    assert reference.unlike(read_rows(rows("same", "z", "x", "y"))) == 0
    assert reference.unlike(read_rows(rows("other", "x", "y", "other"))) == 1
    assert reference.unlike(read_rows(rows("fewer", "x"))) == 2


def test_a_pipeline_makes_the_very_rows_of_one_node_and_a_tensor_group_all_but_two_with_their_units() -> None:
    reference = Rows(train=Counter(map(str, range(40))), valid=Counter(), units=Counter(map(str, range(120))))

    assert unlikeness(0, reference, is_exact=True) == []
    assert unlikeness(1, reference, is_exact=True) != []
    assert unlikeness(6, reference, is_exact=False) == []
    assert unlikeness(7, reference, is_exact=False) == [
        "7 rows or units differ from those of a node that holds the model alone"
    ]
