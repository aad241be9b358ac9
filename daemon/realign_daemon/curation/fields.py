"""Fields: what a record's columns are, under the names that people's data sets give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

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


def value_of(field: Field, fields: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """The record's value of a field, stripped: of the column that `--map` names, else of the first known name."""
    named = columns.get(field)
    if named is not None:
        return fields.get(named, "").strip()
    return next((fields[name].strip() for name in COLUMNS[field] if fields.get(name, "").strip()), "")
