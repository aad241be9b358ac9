"""Settings: what `--set` can change besides thresholds, each with what it takes. One table for the whole product."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from realign_daemon.errors import BadInput
from realign_planner import thresholds
from realign_planner.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A setting that takes a number from `least` to `most`."""

    least: float = 0.0
    most: float = math.inf
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A setting that takes one of some words; any plain word where none are listed."""

    words: tuple[str, ...] = ()


SETTINGS: Final[Mapping[str, Number | Choice]] = {
    # training
    "beta": Number(),
    "learning_rate": Number(),
    "nll_weight": Number(),
    "replay_fraction": Number(),
    "scaling": Choice(words=("best", "temperature", "platt", "isotonic")),  # of confidences, to chances of being right
    "steps": Number(least=1, whole=True),
    # generation
    "max_tokens": Number(least=1, whole=True),
    # RLVR: on verified solutions, by their rewards, or one after the other. Refusals: on rows, or by preference.
    "method": Choice(words=("sft", "grpo", "both", "dpo")),
    "samples": Number(least=2, whole=True),
    # cleaning
    "pii": Choice(words=("redact", "drop", "keep")),
    "language": Choice(),
    "near_duplicate": Number(least=0.01, most=1),
    # files
    "exports": Choice(words=("jsonl", "sharegpt", "parquet", "all")),
    # what is handed over
    "fuse": Choice(words=("yes", "no")),
    "quantise_bits": Number(least=2, whole=True),
    # rows
    "row_tokens": Number(least=1, whole=True),
    "system": Choice(),
    # gates
    "widen_rounds": Number(whole=True),
}


def check_settings(settings: Mapping[str, str]) -> None:
    """Raises BadInput when a `--set` key is unknown or its value of no use."""
    try:
        thresholds.check_settings(settings)
    except SettingError as error:
        raise BadInput(str(error)) from error
    for key, value in settings.items():
        if not thresholds.is_threshold_key(key):
            _check(key, value)


def _check(key: str, value: str) -> None:
    match SETTINGS.get(key):
        case None:
            message = f"there is no setting {key!r}; thresholds aside there are {', '.join(sorted(SETTINGS))}"
            raise BadInput(message)
        case Number(least=least, most=most, whole=whole):
            number = _number(value)
            if not math.isfinite(number) or not least <= number <= most or (whole and number != int(number)):
                kind = "a whole number" if whole else "one"
                limit = f"of at least {least:g}" + (f" and at most {most:g}" if math.isfinite(most) else "")
                message = f"--set {key}={value} is no usable number; give {kind} {limit}"
                raise BadInput(message)
        case Choice(words=words):
            if (words and value not in words) or not value.strip():
                message = f"--set {key}={value} is not understood; {key} is {' or '.join(words) or 'one word'}"
                raise BadInput(message)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def split_count(settings: Mapping[str, str]) -> tuple[int | None, dict[str, str]]:
    """The rows wanted, None where nobody said, and the other settings. Raises BadInput where they are no number."""
    others = {name: value for name, value in settings.items() if name != "count"}
    if len(others) == len(settings):
        return None, others
    text = settings["count"]
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is no number of rows; give --count at least 1"
        raise BadInput(message)
    return int(text), others
