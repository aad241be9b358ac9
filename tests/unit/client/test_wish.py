"""Wishes: what options and job files ask for together, and what is refused before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from realign_client.errors import BadUsage
from realign_client.job_file import gather
from realign_client.wish import Wish, read_pairs, split_names


def make(**said: Any) -> Wish:
    values: dict[str, Any] = {"request": "DPO pairs", **said}
    return Wish(**values)


@pytest.mark.parametrize(
    "said",
    [
        {"count": 0},
        {"count": 2**32},
        {"bits": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"data_type": "ppo"},
        {"request": " "},
    ],
)
def test_a_wish_out_of_range_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(BadUsage):
        make(**said).checked()


def test_a_data_type_is_spelt_as_the_cluster_spells_it() -> None:
    assert make(data_type="Anti-Hallucination").checked().data_type == "antihallucination"


def test_a_count_that_is_not_said_is_absent_in_the_message() -> None:
    message = make().message()
    assert not message.HasField("count")
    assert not message.HasField("bits")
    assert make(count=3).message().count == 3


def test_a_seed_of_zero_is_a_seed_and_goes_over_the_one_of_a_file() -> None:
    assert not make().message().HasField("seed")
    message = make(seed=0).over(make(seed=7)).message()
    assert message.HasField("seed")
    assert message.seed == 0


def test_each_submission_has_a_token_of_its_own() -> None:
    assert make().message().client_token != make().message().client_token


def test_a_source_named_in_the_request_travels_when_none_is_given(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("words")
    assert [source.path for source in make(request=f"pairs from {file}").source_files()] == [file]
    other = tmp_path / "other.txt"
    other.write_text("more")
    given = make(request=f"pairs from {file}", sources=(str(other),))
    assert [source.path for source in given.source_files()] == [other]


def test_names_are_split_at_commas_and_settings_at_the_first_equals_sign() -> None:
    assert split_names(["a, b", "c"]) == ("a", "b", "c")
    assert read_pairs(["k=v=w", "k2="]) == {"k": "v=w", "k2": ""}


@pytest.mark.parametrize("text", ["k", "=v"])
def test_a_setting_without_key_or_equals_sign_is_refused(text: str) -> None:
    with pytest.raises(BadUsage, match="KEY=VALUE"):
        read_pairs([text])


def test_options_win_over_the_job_file_and_settings_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_text(
        'request = "from the file"\ntype = "sft"\nsource = "book.txt"\nnodes = "a,b"\ncount = 5\n'
        'set = { k = 1, l = "x" }\n'
    )
    wish = gather(Wish(count=7, settings={"k": "2"}), str(file)).wish
    assert wish == Wish(
        request="from the file",
        data_type="sft",
        sources=(str(tmp_path / "book.txt"),),
        nodes=("a", "b"),
        count=7,
        settings={"k": "2", "l": "x"},
    )


@pytest.mark.parametrize(
    "text", ["reqest = 'x'", "count = 'many'", "source = [1]", "not toml", "set = 3", "count = true"]
)
def test_a_job_file_with_a_mistake_is_refused_and_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.toml"
    file.write_text(text)
    with pytest.raises(BadUsage, match=r"job\.toml"):
        gather(Wish(), str(file))


def test_a_missing_job_file_is_refused() -> None:
    with pytest.raises(BadUsage, match="cannot be read"):
        gather(Wish(), "/nowhere/job.toml")


def test_a_frozen_spec_keeps_its_models_and_names_its_sources_by_content(tmp_path: Path) -> None:
    spec = {
        "request": "DPO pairs",
        "data_type": "dpo",
        "roles": {"target": {"name": "pocket"}, "judge": {"name": "big"}},
        "sources": [{"name": "book.txt", "sha256": "ab", "size_bytes": 3}],
    }
    file = tmp_path / "job.json"
    file.write_text(json.dumps(spec))
    asked = gather(Wish(), str(file))
    assert asked.wish == Wish(request="DPO pairs", data_type="dpo", target="pocket", judges=("big",))
    assert [(source.name, source.sha256) for source in asked.known_sources] == [("book.txt", "ab")]
    assert json.loads(asked.spec_json) == spec


@pytest.mark.parametrize("name", ["job.toml", "job.json", "job"])
def test_a_job_file_is_json_or_toml_by_its_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text('\n  {"request": "x", "count": 3}')
    as_json = gather(Wish(), str(file)).wish
    file.write_text('request = "x"\ncount = 3\n')
    assert as_json == gather(Wish(), str(file)).wish == Wish(request="x", count=3)


@pytest.mark.parametrize("text", ["neither", '{"request": '])
def test_a_job_file_that_is_neither_toml_nor_json_is_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job"
    file.write_text(text)
    with pytest.raises(BadUsage, match=r"^the job file .*job is neither TOML nor JSON \(.*$"):
        gather(Wish(), str(file))


@pytest.mark.parametrize(
    "text", ["[]", '{"roles": {"target": 3}, "request": "x", "data_type": "dpo"}', '{"roles": {}}']
)
def test_a_damaged_spec_is_refused_and_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.json"
    file.write_text(text)
    with pytest.raises(BadUsage, match=r"job\.json"):
        gather(Wish(), str(file))


def test_a_model_folder_travels_by_its_name_because_its_path_means_nothing_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert make(model=str(folder), judges=("pocket",)).message().model == "mine"
    assert make(model="no/such/folder").message().model == "no/such/folder"


def test_a_model_for_all_roles_leaves_nothing_of_a_files_models_and_tables_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "job.toml"
    file.write_text('request = "x"\ntarget = "a"\njudge = ["b", "c"]\nmap = { question = "q", answer = "a" }\n')
    asked = gather(Wish(model="pocket", columns={"answer": "b"}), str(file)).wish
    assert asked == Wish(request="x", model="pocket", columns={"question": "q", "answer": "b"})


def test_a_frozen_spec_is_planned_for_its_own_count_and_nodes(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    said = {"count": 7, "seed": 4, "until": "train_dpo", "nodes": ["a"], "exclude_nodes": []}
    file.write_text(json.dumps({"request": "x", "data_type": "dpo", "roles": {}, **said}))
    assert gather(Wish(), str(file)).wish == Wish(
        request="x", data_type="dpo", count=7, seed=4, until="train_dpo", nodes=("a",)
    )
