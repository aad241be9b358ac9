"""Formats: what other people's tools read of our rows, by their own classes where they are here."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow, transformers and mlx-lm are untyped.

from __future__ import annotations

import ast
import io
import json
import re
import types
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.tuner.datasets import ChatDataset, load_local_dataset
from transformers import AutoTokenizer

from realign_daemon.curation.export import FURTHER, data_set_files, row_id
from realign_daemon.curation.formats.further import further_files
from realign_daemon.curation.formats.loading import LOADING
from realign_daemon.curation.formats.sharegpt import conversation
from realign_daemon.curation.formats.tables import parquet
from realign_daemon.curation.material import Row
from realign_daemon.engine import pocket
from realign_daemon.worker.registry import FUNCTIONS, resolve
from realign_planner.data_types import DATA_TYPES, DataType

ASKED = {"role": "user", "content": "What is 2+2?"}
SAID = {"role": "assistant", "content": "4"}
ROWS: dict[DataType, dict[str, Any]] = {
    "dpo": {"prompt": "What is 2+2?", "chosen": "4", "rejected": "5"},
    "sft": {"messages": [ASKED, SAID]},
    "rlvr": {"prompt": "What is 2+2?", "answer": "4", "answer_type": "integer", "pass_rate": 0.5, "solution": "4"},
    "antihallucination": {"messages": [ASKED, SAID], "label": "answer"},
}
# What TRL's guide to data set formats asks for: `prompt`, `chosen` and `rejected` of the standard preference type,
# `prompt` of the standard prompt-only type, `messages` of conversational language modelling.
TRL_TEXTS: dict[DataType, tuple[str, ...]] = {"dpo": ("prompt", "chosen", "rejected"), "rlvr": ("prompt", "answer")}
TEXT = st.text(max_size=20)
FIELDS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "messages": st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=3),
        "pass_rate": st.floats(0, 1),
        "solution": TEXT,
    }
)


def rows(data_type: DataType) -> list[Row]:
    fields = ROWS[data_type]
    return [
        Row(fields={"id": row_id(fields), **fields}, provenance={}, is_held_out=is_held_out)
        for is_held_out in (False, True)
    ]


async def compute(function: str, arguments: dict[str, object]) -> Any:
    return resolve(FUNCTIONS[function])(**arguments)


def written(data_type: DataType) -> list[dict[str, Any]]:
    files = data_set_files(rows(data_type), [], summary={}, card="")
    return [json.loads(line) for name in ("train.jsonl", "valid.jsonl") for line in files[name].splitlines()]


@pytest.mark.parametrize("data_type", ["sft", "antihallucination"])
def test_conversations_load_and_tokenise_in_mlx_lm(data_type: DataType, tmp_path: Path) -> None:
    for name, data in data_set_files(rows(data_type), [], summary={}, card="").items():
        (tmp_path / name).write_bytes(data)
    tokenizer = AutoTokenizer.from_pretrained(Path(pocket.__file__).parent / "model")

    train, valid, _ = load_local_dataset(tmp_path, tokenizer, types.SimpleNamespace(mask_prompt=True))

    assert isinstance(train, ChatDataset)
    assert (len(train), len(valid)) == (1, 1)
    tokens, answer_starts = train.process(train[0])
    assert "4" in tokenizer.decode(tokens[answer_starts:])
    assert "2+2" not in tokenizer.decode(tokens[answer_starts:]).replace(" ", "")


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_rows_have_the_columns_that_trl_reads(data_type: DataType) -> None:
    for row in written(data_type):
        assert all(isinstance(row[name], str) for name in TRL_TEXTS.get(data_type, ()))
        turns = row.get("messages", [])
        assert bool(turns) == (data_type not in TRL_TEXTS)
        assert all(turn.keys() == {"role", "content"} for turn in turns)
        assert [turn["role"] for turn in turns][-1:] in ([], ["assistant"])


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_rows_are_flat_but_for_their_messages(data_type: DataType) -> None:
    for row in written(data_type):
        assert all(isinstance(value, str | float) for name, value in row.items() if name != "messages")


def test_a_conversation_keeps_its_speakers_and_what_stands_beside_it() -> None:
    system = {"role": "system", "content": "Be brief."}
    assert conversation({"id": "1", "messages": [system, ASKED, SAID], "label": "answer"}) == {
        "id": "1",
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "What is 2+2?"},
            {"from": "gpt", "value": "4"},
        ],
        "label": "answer",
    }


@pytest.mark.parametrize("fields", [ROWS["dpo"], {**ROWS["sft"], "rejected": "5"}], ids=["prompt", "messages"])
def test_a_preference_is_a_conversation_that_ends_before_its_two_answers(fields: dict[str, Any]) -> None:
    assert conversation(fields) == {
        "conversations": [{"from": "human", "value": "What is 2+2?"}],
        "chosen": {"from": "gpt", "value": "4"},
        "rejected": {"from": "gpt", "value": "5"},
    }


def test_a_problem_is_a_question_with_its_answer_beside_it() -> None:
    found = conversation(ROWS["rlvr"])
    assert found["conversations"] == [{"from": "human", "value": "What is 2+2?"}]
    assert (found["answer"], found["answer_type"]) == ("4", "integer")


@settings(deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=5))
def test_parquet_gives_back_the_rows_and_always_the_same_bytes(made: list[dict[str, Any]]) -> None:
    data = parquet(made)
    assert pq.read_table(io.BytesIO(data)).to_pylist() == made
    assert parquet(made) == data


def test_parquet_has_a_null_where_a_row_lacks_a_field() -> None:
    table = pq.read_table(io.BytesIO(parquet([{"a": "x"}, {"a": "y", "tests": "assert 1"}])))
    assert table.to_pylist() == [{"a": "x", "tests": None}, {"a": "y", "tests": "assert 1"}]
    assert str(table.schema.field("tests").type) == "string"


@pytest.mark.parametrize(
    ("exports", "names"),
    [("jsonl", ()), ("sharegpt", FURTHER[:1]), ("parquet", FURTHER[1:]), ("all", FURTHER)],
)
async def test_the_setting_says_which_further_files_there_are(exports: str, names: tuple[str, ...]) -> None:
    assert tuple(await further_files(rows("sft"), exports, compute)) == names
    assert await further_files([], exports, compute) == {}


async def test_held_out_rows_are_in_no_file_for_training() -> None:
    train, valid = rows("dpo")
    assert set(await further_files([valid], "all", compute)) == {"valid.parquet"}
    files = await further_files([train, valid], "all", compute)
    assert len(files["sharegpt.jsonl"].splitlines()) == 1
    assert pq.read_table(io.BytesIO(files["train.parquet"])).to_pylist() == [train.fields]


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_the_card_shows_python_that_parses(data_type: DataType) -> None:
    snippets = re.findall(r"```python\n(.*?)```", LOADING[data_type], re.DOTALL)
    assert snippets
    for snippet in snippets:
        ast.parse(snippet)
