"""Rows: the data set that a job left, and how it differs from another one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is trained on and what is held out, and the units that the rows came of."""

    train: Counter[str]
    valid: Counter[str]
    units: Counter[str]

    @property
    def count(self) -> int:
        """Of all rows."""
        return self.train.total() + self.valid.total()

    def unlike(self, other: Rows) -> int:
        """How many rows, or units of theirs, only one of the two has: whichever are more."""
        return max(
            _apart(self.train, other.train) + _apart(self.valid, other.valid),
            _apart(self.units, other.units),
        )


def read_rows(folder: Path) -> Rows:
    """What lies in an output folder."""
    return Rows(
        train=Counter(_texts(folder / "train.jsonl")),
        valid=Counter(_texts(folder / "valid.jsonl")),
        units=Counter(unit for row in _lines(folder / "provenance.jsonl") for unit in _units(row)),
    )


def _units(said: object) -> Iterator[str]:
    """Every one that is named anywhere in a line of provenance."""
    match said:
        case {"unit": str() as unit}:
            yield unit
        case dict() | list():
            parts = cast("dict[str, object]", said).values() if isinstance(said, dict) else cast("list[object]", said)
            for part in parts:
                yield from _units(part)
        case _:
            pass


def _texts(path: Path) -> Iterable[str]:
    return (json.dumps(row, sort_keys=True) for row in _lines(path))


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    return (cast("dict[str, Any]", json.loads(line)) for line in path.read_text().splitlines())


def _apart(one: Counter[str], other: Counter[str]) -> int:
    return max((one - other).total(), (other - one).total())
