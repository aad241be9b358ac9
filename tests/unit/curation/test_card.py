"""Data set card: what its header tells loaders, and what it never tells."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from realign_daemon.curation.card import CardModel, CardSource, data_set_card
from realign_planner.data_types import DATA_TYPES, DataType


def card(**changes: Any) -> str:
    given: dict[str, Any] = {
        "name": 'dpo_a "book": 1_20261123',
        "data_type": "dpo",
        "request": "Curate DPO pairs",
        "version": "0.1.0",
        "train_rows": 40,
        "valid_rows": 9,
        "sources": [CardSource(name="book.pdf", sha256="5" * 64)],
        "models": [CardModel(role="target", name="pocket", sha256="6" * 64)],
        "templates": {"pocket.question": "1"},
        "verdicts": [],
        "overrides": {},
        "rejected_reasons": [],
        "has_adapter": False,
    }
    return data_set_card(**(given | changes))


def header(**changes: Any) -> dict[str, Any]:
    return yaml.safe_load(card(**changes).split("---\n")[1])


def test_the_header_is_that_of_a_hugging_face_data_set() -> None:
    assert header() == {
        "pretty_name": 'dpo_a "book": 1_20261123',
        "license": "unknown",
        "task_categories": ["text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["realign", "synthetic", "dpo"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "train", "path": "train.jsonl"},
                    {"split": "validation", "path": "valid.jsonl"},
                ],
            }
        ],
    }


def test_the_card_says_what_the_adapter_was_trained_on() -> None:
    def training(**changes: Any) -> str:
        text = card(has_adapter=True, train_rows=40, **changes)
        return (
            text.split("## Adapter\n\n")[1]
            .split("\n")[0]
            .removeprefix("`adapter/` holds a LoRA adapter for `mlx_lm`. ")
        )

    assert training(trained_rows=40) == "It was trained on the 40 rows of `train.jsonl`."
    assert training(trained_rows=43) == (
        "It was trained before rows were dropped by hand: on 43 rows, 40 of which are here."
    )
    assert training() == "It is that of the baseline, which was not trained on these rows."


def test_a_data_set_without_rows_names_no_splits() -> None:
    assert "configs" not in header(train_rows=0, valid_rows=0)
    assert [split["split"] for split in header(valid_rows=0)["configs"][0]["data_files"]] == ["train"]


@pytest.mark.parametrize(
    ("rows", "size"),
    [(999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (100_000, "100K<n<1M"), (2_000_000, "n>1M")],
)
def test_the_size_counts_all_rows(rows: int, size: str) -> None:
    assert header(train_rows=rows, valid_rows=0)["size_categories"] == [size]


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("pairs from /data/books/ml_textbook.pdf for Qwen 7B", "pairs from ml_textbook.pdf for Qwen 7B"),
        (r"from C:\Users\bob\notes.md", "from notes.md"),
        ("from ~/Documents/a.txt and ../b/c.txt", "from a.txt and c.txt"),
        ("from 'file:///home/bob/a.txt'", "from 'a.txt'"),
        ("SFT and/or DPO, see https://host.org/a/b", "SFT and/or DPO, see https://host.org/a/b"),
        ("50/50 at 3 / 4", "50/50 at 3 / 4"),
    ],
)
def test_no_folder_of_anybodys_disk_is_in_the_card(written: str, seen: str) -> None:
    text = card(request=written, overrides={"preference_gap": written})
    assert f"> {seen}\n" in text
    assert f"- preference_gap was let pass because: {seen}\n" in text


def test_a_source_is_named_without_its_folders() -> None:
    text = card(sources=[CardSource(name="/home/bob/book.pdf", sha256="5" * 64)])
    assert f"| book.pdf | {'5' * 64} |" in text
    assert "bob" not in text


@pytest.mark.parametrize("data_type", DATA_TYPES)
def test_every_type_says_how_its_rows_are_loaded_and_what_is_not_known(data_type: DataType) -> None:
    text = card(data_type=data_type)
    assert "load_dataset(" in text
    assert "mlx_lm.lora" in text
    assert "whoever owns the sources decides" in text
    assert "Names of people are not looked for" in text


def test_hygiene_and_further_files_are_told_where_there_are_any() -> None:
    text = card(hygiene={"near_duplicates": 3, "redacted_rows": 0}, further=["sharegpt.jsonl"])
    assert "## Hygiene\n\n| found | count |\n| --- | --- |\n| near duplicates | 3 |\n| redacted rows | 0 |" in text
    assert "- `sharegpt.jsonl`: the training rows as ShareGPT conversations" in text
    assert "## Hygiene" not in card()
    assert "sharegpt" not in card()


def test_warnings_are_told_without_folders_or_markup() -> None:
    text = card(warnings=["/home/me/b.pdf is <damaged>"])
    assert "## Warnings\n\n- b.pdf is &lt;damaged>" in text
    assert "## Warnings" not in card()


@pytest.mark.parametrize(
    ("data_type", "columns"),
    [
        ("dpo", ("prompt", "chosen", "rejected")),
        ("sft", ("messages",)),
        ("rlvr", ("prompt", "answer", "answer_type", "pass_rate", "solution", "tests")),
        ("antihallucination", ("messages", "label", "rejected")),
    ],
)
def test_the_card_names_every_column_of_its_rows(data_type: DataType, columns: tuple[str, ...]) -> None:
    described = " ".join(card(data_type=data_type).split("## Rows")[1].split("## Loading")[0].split())
    assert [name for name in ("id", *columns) if f"`{name}`" not in described] == []
