"""Fields: what a record's columns are, under the names that people's data sets give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from realign_daemon.errors import BadInput
from realign_planner.data_types import TITLES, DataType

Field = Literal["question", "answer", "chosen", "rejected", "tests", "context", "label"]

# In the order in which they are looked for. Names as in data sets of the Hugging Face hub: GSM8K, MATH, Alpaca, Dolly,
# UltraFeedback, TriviaQA, MBPP.
COLUMNS: Final[Mapping[Field, tuple[str, ...]]] = {
    "question": ("question", "prompt", "problem", "instruction", "query", "input", "text"),
    "answer": ("answer", "final_answer", "expected_answer", "response", "output", "completion", "solution", "code"),
    "chosen": ("chosen", "preferred"),
    "rejected": ("rejected", "dispreferred"),
    "tests": ("tests", "test_list", "test", "unit_tests"),
    "context": ("context", "passage", "source"),
    "label": ("label",),
}


# What rows that somebody has must hold, by what is made of them.
GIVEN: Final[Mapping[DataType, tuple[Field, ...]]] = {
    "dpo": ("question", "chosen", "rejected"),
    "sft": ("question", "answer"),
    "rlvr": ("question",),
    "antihallucination": ("question",),
}


def check_given(
    name: str, records: Sequence[Mapping[str, str]], columns: Mapping[str, str], data_type: DataType
) -> None:
    """Raises BadInput when a file of given rows holds no record, or none with a value of a field that all must have."""
    if not records:
        message = f"{name} holds no records to begin with: --from-data takes rows, --source takes documents"
        raise BadInput(message)
    lacking = [field for field in GIVEN[data_type] if not any(value_of(field, fields, columns) for fields in records)]
    if lacking:
        there = ", ".join(dict.fromkeys(column for fields in records for column in fields))
        message = (
            f"{name} has no {' and no '.join(lacking)} for {TITLES[data_type]} data: "
            f"name the column with --map {lacking[0]}=COLUMN; there are {there}"
        )
        raise BadInput(message)
    check_columns(name, records, columns)


def check_columns(name: str, records: Sequence[Mapping[str, str]], columns: Mapping[str, str]) -> None:
    """Raises BadInput when `--map` names a column that no record has."""
    there = dict.fromkeys(column for fields in records for column in fields)
    for field, column in columns.items():
        if column not in there:
            message = f"no record of {name} has the column of --map {field}={column}; there are {', '.join(there)}"
            raise BadInput(message)


def value_of(field: Field, fields: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """The record's value of a field, stripped: of the column that `--map` names, else of the first known name."""
    named = columns.get(field)
    if named is not None:
        return fields.get(named, "").strip()
    return next((fields[name].strip() for name in COLUMNS[field] if fields.get(name, "").strip()), "")
