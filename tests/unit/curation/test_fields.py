"""Fields: rows that somebody has are refused when a column is missing, before anything is promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from realign_daemon.curation.fields import check_given
from realign_daemon.errors import BadInput
from realign_planner.data_types import DataType

PAIR = {"prompt": "12+34=", "chosen": "640", "rejected": "?"}


@pytest.mark.parametrize(
    ("records", "columns", "data_type"),
    [
        ([PAIR], {}, "dpo"),
        ([{"q": "12+34=", "a": "640"}], {"question": "q", "answer": "a"}, "sft"),
        ([{"problem": "12+34="}], {}, "rlvr"),
        ([{"question": ""}, {"question": "12+34=", "answer": "640"}], {}, "antihallucination"),
    ],
)
def test_rows_with_the_columns_that_their_data_needs_are_taken(
    records: Sequence[Mapping[str, str]], columns: Mapping[str, str], data_type: DataType
) -> None:
    check_given("rows.jsonl", records, columns, data_type)


@pytest.mark.parametrize(
    ("records", "columns", "data_type", "sentence"),
    [
        ([], {}, "sft", "rows.jsonl holds no records to begin with"),
        ([{"foo": "1", "bar": "2"}], {}, "rlvr", "no question for RLVR data: .* --map question=COLUMN; .* foo, bar"),
        ([PAIR], {"question": "q"}, "dpo", "no question for DPO data"),
        ([{"prompt": "12+34=", "answer": "640"}], {}, "dpo", "no chosen and no rejected for DPO data"),
        ([{"question": "12+34=", "answer": " "}], {}, "sft", "no answer for SFT data"),
        ([{"problem": "12+34="}], {"answer": "gold"}, "rlvr", "the column of --map answer=gold; there are problem"),
    ],
)
def test_rows_without_them_are_refused_with_the_columns_that_there_are(
    records: Sequence[Mapping[str, str]], columns: Mapping[str, str], data_type: DataType, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        check_given("rows.jsonl", records, columns, data_type)
