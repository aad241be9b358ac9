"""The four kinds of training data that a job can make, and what each is called outside."""

from __future__ import annotations

from typing import Final, Literal, get_args

DataType = Literal["dpo", "sft", "rlvr", "antihallucination"]

DATA_TYPES: Final[tuple[DataType, ...]] = get_args(DataType)

SKILLS: Final[dict[DataType, str]] = {
    "dpo": "realign-dpo-workflow",
    "sft": "realign-srf-workflow",
    "rlvr": "realign-rlvr-workflow",
    "antihallucination": "realign-antihallucination-workflow",
}

TITLES: Final[dict[DataType, str]] = {
    "dpo": "DPO",
    "sft": "SFT",
    "rlvr": "RLVR",
    "antihallucination": "Anti-hallucination",
}


def as_data_type(text: str) -> DataType | None:
    """The data type that `text` names (any case, with or without hyphens; "srf" is "sft"), else None."""
    key = text.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
    if key == "srf":
        return "sft"
    return next((data_type for data_type in DATA_TYPES if data_type == key), None)
