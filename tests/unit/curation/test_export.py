"""Output folders: clean rows under names that follow from them, the same bytes every time, all of it or nothing."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.curation.export import FURTHER, data_set_files, row_id, without_repeats, write_folder
from realign_daemon.curation.material import Dropped, Row

FILES = {"train.jsonl": b"{}\n", "summary.json": b"{}\n"}


def row(prompt: str, *, held_out: bool = False) -> Row:
    fields = {"prompt": prompt, "chosen": "yes", "rejected": "no"}
    return Row(fields={"id": row_id(fields), **fields}, provenance={"page": 3}, is_held_out=held_out)


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def exported(rows: list[Row], dropped: list[Dropped] | None = None) -> dict[str, bytes]:
    kept, repeated = without_repeats(rows)
    return data_set_files(kept, [*(dropped or []), *repeated], summary={"b": 1, "a": "é"}, card="# Card\n")


@pytest.fixture
def adapter(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "adapters.safetensors") -> Path:
        path = tmp_path / "adapter.tar"
        with tarfile.open(path, "w") as archive:
            for member in (name, "adapter_config.json"):
                info = tarfile.TarInfo(member)
                info.size = 4
                archive.addfile(info, io.BytesIO(b"data"))
        return path

    return make


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_row_is_named_by_its_content_and_not_by_the_order_of_its_fields() -> None:
    assert row_id({"prompt": "a", "chosen": "b"}) == row_id({"chosen": "b", "prompt": "a", "id": "old"})
    assert row_id({"prompt": "a", "chosen": "b"}) != row_id({"prompt": "b", "chosen": "a"})


def test_rows_are_flat_split_by_section_and_keep_the_order_of_their_fields() -> None:
    files = exported([row("one"), row("two", held_out=True)])
    (train,), (valid,) = lines(files["train.jsonl"]), lines(files["valid.jsonl"])
    assert list(train) == ["id", "prompt", "chosen", "rejected"]
    assert (train["prompt"], valid["prompt"]) == ("one", "two")


def test_provenance_has_one_line_for_each_row_by_its_id() -> None:
    rows = [row("one"), row("two", held_out=True)]
    found = lines(exported(rows)["provenance.jsonl"])
    assert {line["id"] for line in found} == {one.fields["id"] for one in rows}
    assert found[0] == {"id": found[0]["id"], "page": 3}


def test_a_row_that_comes_twice_is_kept_once_and_held_out_if_it_ever_was() -> None:
    files = exported([row("one"), row("one", held_out=True), row("one")])
    assert (len(lines(files["train.jsonl"])), len(lines(files["valid.jsonl"]))) == (0, 1)
    assert [line["reason"] for line in lines(files["rejected.jsonl"])] == ["the same row came twice"] * 2


def test_what_was_left_out_is_listed_with_its_stage_and_reason() -> None:
    dropped = [Dropped(stage="score_pairs", reason="no two", content={"question": "q"})]
    assert lines(exported([], dropped)["rejected.jsonl"]) == [
        {"stage": "score_pairs", "reason": "no two", "question": "q"}
    ]


def test_a_rejected_line_says_its_stage_and_reason_whatever_its_content_calls_them() -> None:
    dropped = [Dropped(stage="export", reason="twice", content={"reason": "mine", "stage": "mine", "q": "x"})]
    (line,) = lines(exported([], dropped)["rejected.jsonl"])
    assert list(line.items()) == [("stage", "export"), ("reason", "twice"), ("q", "x")]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())), st.randoms())
def test_the_bytes_do_not_depend_on_the_order_of_rows(items: list[tuple[str, bool]], rng: random.Random) -> None:
    rows = [row(prompt, held_out=held_out) for prompt, held_out in items]
    dropped = [Dropped(stage="s", reason=prompt, content={"x": 1}) for prompt, _ in items]
    again = sorted(rows, key=lambda _: rng.random())
    assert exported(rows, dropped) == exported(again, dropped[::-1])


def test_a_new_folder_holds_the_files_and_the_unpacked_adapter(tmp_path: Path, adapter: Callable[..., Path]) -> None:
    folder = tmp_path / "deep" / "dpo_book_20261123"
    write_folder(folder, FILES, adapter=adapter())
    assert tree(folder) == {
        **FILES,
        "adapter/adapters.safetensors": b"data",
        "adapter/adapter_config.json": b"data",
    }
    assert list(folder.parent.iterdir()) == [folder]


def test_writing_again_replaces_our_files_drops_an_old_adapter_and_leaves_the_users(
    tmp_path: Path, adapter: Callable[..., Path]
) -> None:
    folder = tmp_path / "out"
    write_folder(folder, FILES, adapter=adapter())
    (folder / "mine.txt").write_text("keep")
    write_folder(folder, {**FILES, "train.jsonl": b"new\n"}, adapter=None)
    assert tree(folder) == {**FILES, "train.jsonl": b"new\n", "mine.txt": b"keep"}


def test_further_formats_of_an_earlier_run_go_with_its_rows(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_folder(folder, {**FILES, **dict.fromkeys(FURTHER, b"old")}, adapter=None)
    write_folder(folder, {**FILES, FURTHER[0]: b"new"}, adapter=None)
    assert tree(folder) == {**FILES, FURTHER[0]: b"new"}


def test_a_failed_write_leaves_nothing_new_behind(tmp_path: Path, adapter: Callable[..., Path]) -> None:
    folder = tmp_path / "out" / "set"
    with pytest.raises(ValueError, match="no plain file"):
        write_folder(folder, FILES, adapter=adapter("../escape"))
    assert list(folder.parent.iterdir()) == []
    assert not (tmp_path / "escape").exists()


def test_a_failed_write_leaves_the_earlier_output_whole(tmp_path: Path, adapter: Callable[..., Path]) -> None:
    folder = tmp_path / "out" / "set"
    write_folder(folder, FILES, adapter=None)
    with pytest.raises(ValueError, match="no plain file"):
        write_folder(folder, {**FILES, "train.jsonl": b"new\n"}, adapter=adapter("/etc/escape"))
    assert tree(folder.parent) == {f"set/{name}": data for name, data in FILES.items()}


def test_what_a_crash_left_behind_does_not_get_into_the_output(tmp_path: Path) -> None:
    leftover = tmp_path / ".set.part"
    leftover.mkdir()
    (leftover / "stale.jsonl").write_text("half a ro")
    write_folder(tmp_path / "set", FILES, adapter=None)
    assert tree(tmp_path) == {f"set/{name}": data for name, data in FILES.items()}
