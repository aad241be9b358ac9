"""Redaction: personal data in the strings of a plain value, replaced by what kind of data it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What JSON holds; a tuple is a list there.
Plain = Mapping[str, "Plain"] | Sequence["Plain"] | str | int | float | None

# They name something and say nothing.
NAMES = frozenset({"id", "role", "label", "answer_type"})


def strings(value: Plain) -> list[str]:
    """Every string in the value, in its order, without those under NAMES."""
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for key, part in value.items() if key not in NAMES for text in strings(part)]
        case list() | tuple():
            return [text for part in value for text in strings(part)]
        case _:
            return []


def with_strings(value: Plain, replacements: Iterator[str]) -> Any:  # noqa: ANN401 - of the shape of the value
    """The value with the next replacement in the place of each string that `strings` gives."""
    match value:
        case str():
            return next(replacements)
        case Mapping():
            return {key: part if key in NAMES else with_strings(part, replacements) for key, part in value.items()}
        case list() | tuple():
            return [with_strings(part, replacements) for part in value]
        case _:
            return value


def redact(text: str, found: Sequence[Mapping[str, Any]]) -> str:
    """The text with each find (`kind`, `start`, `end`; in order) replaced by its kind: "[EMAIL]"."""
    parts: list[str] = []
    done = 0
    for find in found:
        parts += [text[done : find["start"]], f"[{find['kind'].upper()}]"]
        done = find["end"]
    return "".join([*parts, text[done:]])
