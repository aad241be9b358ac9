"""Closing: how an answer that has run out of room is brought to an end that fits its schema."""

from __future__ import annotations

import json
from typing import assert_never

from realign_daemon.engine.schema import (
    ESCAPES,
    ITEM_SEPARATOR,
    KEY_SEPARATOR,
    Choice,
    Items,
    Record,
    Schema,
    Text,
    Whole,
)

_FILLER = "."  # what a string that is too short to end is filled with


def longest_closing(schema: Schema) -> int:
    """An upper bound of the bytes that `closing` adds, whatever has been written."""
    match schema:
        case Text():
            return schema.least + 3  # two quotes, and the second half of an escape
        case Whole():
            return max(len(str(schema.least)), len(str(schema.most)))
        case Choice():
            return max(len(value.encode()) for value in schema.values)
        case Items():
            # An item may be open beyond the least number of them.
            return 2 + (schema.least + 1) * (longest_closing(schema.item) + len(ITEM_SEPARATOR))
        case Record():
            return 2 + sum(
                len(name) + 2 + len(KEY_SEPARATOR) + len(ITEM_SEPARATOR) + longest_closing(field)
                for name, field in schema.fields
            )
        case _:
            assert_never(schema)


def closing(schema: Schema, begun: str) -> str:
    """The shortest text found that completes `begun`, which is the beginning of an answer that fits the schema."""
    reader = _Reader(begun)
    reader.value(schema)
    return reader.added


class _Reader:
    """Reads the answer along its schema; from where the answer stops, it writes what is missing."""

    def __init__(self, begun: str) -> None:
        self._rest = begun
        self.added = ""

    def value(self, schema: Schema) -> None:
        match schema:
            case Text():
                self._text(schema)
            case Whole():
                self._whole(schema)
            case Choice():
                self._one_of(schema.values)
            case Items():
                self._items(schema)
            case Record():
                for place, (name, field) in enumerate(schema.fields):
                    self._literal(f'{ITEM_SEPARATOR if place else "{"}"{name}"{KEY_SEPARATOR}')
                    self.value(field)
                self._literal("}")
            case _:
                assert_never(schema)

    def _literal(self, text: str) -> None:
        """Reads what the answer has of a text that must come here, and adds the rest of it."""
        self._one_of((text,))

    def _one_of(self, texts: tuple[str, ...]) -> None:
        """Reads the one of the texts that comes next; where the answer ends in one, adds the rest of the shortest."""
        if begun := [text for text in texts if text.startswith(self._rest)]:
            self.added += min(begun, key=len)[len(self._rest) :]
            self._rest = ""
        else:
            longest = max((text for text in texts if self._rest.startswith(text)), key=len)
            self._rest = self._rest[len(longest) :]

    def _text(self, schema: Text) -> None:
        self._literal('"')
        length = place = 0
        while place < len(self._rest) and self._rest[place] != '"':
            place += 2 if self._rest[place] == "\\" else 1
            length += 1
        if place < len(self._rest):
            self._rest = self._rest[place + 1 :]
            return
        is_inside_escape = place > len(self._rest)
        self._rest = ""
        self.added += ESCAPES[0] * is_inside_escape + _FILLER * (schema.least - length) + '"'

    def _whole(self, schema: Whole) -> None:
        length = next((at for at, letter in enumerate(self._rest) if letter not in "-0123456789"), len(self._rest))
        digits, self._rest = self._rest[:length], self._rest[length:]
        if not self._rest and not _is_whole(digits, schema):
            self.added += _shortest_whole(digits, schema)[len(digits) :]

    def _items(self, schema: Items) -> None:
        self._literal("[")
        count = 0
        while (self._rest and not self._rest.startswith("]")) or count < schema.least:
            if count:
                self._literal(ITEM_SEPARATOR)
            self.value(schema.item)
            count += 1
        self._literal("]")


def _is_whole(digits: str, schema: Whole) -> bool:
    return digits not in {"", "-"} and schema.least <= json.loads(digits) <= schema.most


def _shortest_whole(digits: str, schema: Whole) -> str:
    """The shortest number within the bounds that begins with the digits; "-" and nothing are beginnings, too."""
    sign = -1 if digits.startswith("-") else 1
    if not digits and schema.most < 0:
        return str(schema.most)
    if digits in {"", "-"}:
        nearest = max(schema.least, 0) if sign > 0 else min(schema.most, 0)
        return f"-{abs(nearest)}" if sign < 0 else str(nearest)
    begun, more = abs(int(digits)), 1
    while True:
        low, high = sorted((sign * begun * 10**more, sign * (begun * 10**more + 10**more - 1)))
        if max(low, schema.least) <= min(high, schema.most):
            found = max(low, schema.least) if sign > 0 else min(high, schema.most)
            return f"-{abs(found)}" if sign < 0 else str(found)
        more += 1
