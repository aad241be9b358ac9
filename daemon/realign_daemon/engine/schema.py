"""Schema: the part of JSON Schema that an answer can be held to. Whatever fits one has an end.

Understood are objects whose properties are all required, in their order; arrays with maxItems; strings with
maxLength; integers with minimum and maximum; booleans, null, and enum of these three and strings. Everything else is
refused: an answer of no fixed length could never be promised to be whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never, cast

# How answers are written: as Python writes JSON, which is what models have seen most. One way only, and of the escapes
# only those that no text can do without, so that the length of an answer follows from its content.
ITEM_SEPARATOR, KEY_SEPARATOR = ", ", ": "
ESCAPES = '"\\nt'


class SchemaError(ValueError):
    """The schema does not bound an answer, or says something that is not understood; the text says what and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string; lengths in characters."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An integer, its bounds included."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several values, each as the JSON text that writes it."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """An array; lengths in items."""

    item: Schema
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An object with exactly these properties, in this order."""

    fields: tuple[tuple[str, Schema], ...]


Schema: TypeAlias = Text | Whole | Choice | Items | Record

_KEYWORDS = {
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
    "boolean": set[str](),
    "null": set[str](),
}
_ALWAYS = {"type", "title", "description"}


def parse(text: str) -> Schema:
    """The schema in a JSON text.

    Raises:
        SchemaError: it is none, or leaves something without a bound.
    """
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise SchemaError(f"the schema is not JSON: {error}") from error
    return from_plain(plain)


def from_plain(plain: object, where: str = "the schema") -> Schema:
    """The schema in plain data. Raises SchemaError like `parse`."""
    if not isinstance(plain, Mapping):
        raise SchemaError(f"{where} is {plain!r}: it must be an object")
    schema = cast("Mapping[str, Any]", plain)
    if "enum" in schema:
        return _choice(schema, where)
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        raise SchemaError(f"{where} has type {kind!r}: use one of {', '.join(_KEYWORDS)}, or an enum")
    _only(schema, _ALWAYS | _KEYWORDS[kind], where)
    match kind:
        case "string":
            return Text(least=_least(schema, "minLength", where), most=_whole(schema, "maxLength", where))
        case "integer":
            return _integer(schema, where)
        case "array":
            least, most = _least(schema, "minItems", where), _whole(schema, "maxItems", where)
            return Items(item=from_plain(schema.get("items"), f"the items of {where}"), least=least, most=most)
        case "object":
            return _record(schema, where)
        case _:
            return Choice(values=("true", "false") if kind == "boolean" else ("null",))


def fits(schema: Schema, value: object) -> bool:
    """Whether a value, as json.loads gives it, is what the schema describes."""
    match schema:
        case Text():
            return isinstance(value, str) and schema.least <= len(value) <= schema.most
        case Whole():
            return isinstance(value, int) and not isinstance(value, bool) and schema.least <= value <= schema.most
        case Choice():
            return any(type(value) is type(choice) and value == choice for choice in map(json.loads, schema.values))
        case Items():
            items = cast("list[object]", value) if isinstance(value, list) else None
            return (
                items is not None
                and schema.least <= len(items) <= schema.most
                and all(fits(schema.item, item) for item in items)
            )
        case Record():
            fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
            return (
                isinstance(value, dict)
                and fields.keys() == dict(schema.fields).keys()
                and all(fits(field, fields[name]) for name, field in schema.fields)
            )
        case _:
            assert_never(schema)


def written(value: object) -> str:
    """A value as an answer writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(ITEM_SEPARATOR, KEY_SEPARATOR))


def _choice(schema: Mapping[str, Any], where: str) -> Choice:
    _only(schema, _ALWAYS | {"enum"}, where)
    values = schema["enum"]
    if not isinstance(values, list) or not values:
        raise SchemaError(f"{where} has an enum without values: give at least one")
    choices = cast("list[object]", values)
    if any(choice is not None and not isinstance(choice, str | int) for choice in choices):
        raise SchemaError(f"{where} has an enum of more than strings, integers, booleans and null")
    return Choice(values=tuple(written(choice) for choice in choices))


def _integer(schema: Mapping[str, Any], where: str) -> Whole:
    for bound in ("minimum", "maximum"):
        if not isinstance(schema.get(bound), int):
            raise SchemaError(f"{where} is an integer without a whole {bound}: give one")
    if schema["minimum"] > schema["maximum"]:
        raise SchemaError(f"{where} has a minimum above its maximum")
    return Whole(least=schema["minimum"], most=schema["maximum"])


def _record(schema: Mapping[str, Any], where: str) -> Record:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        raise SchemaError(f"{where} is an object without properties: name them")
    fields = cast("Mapping[str, object]", properties)
    if schema.get("additionalProperties") is not False:
        raise SchemaError(f"{where} allows any other property: set additionalProperties to false")
    if set(schema.get("required", ())) != set(fields):
        raise SchemaError(f"{where} has optional properties: require all of them")
    if odd := [name for name in fields if not (name.isascii() and name.isidentifier())]:
        raise SchemaError(f"{where} has the property {odd[0]!r}: use letters, digits and underscores")
    return Record(fields=tuple((name, from_plain(field, f"{name} in {where}")) for name, field in fields.items()))


def _least(schema: Mapping[str, Any], keyword: str, where: str) -> int:
    least = _whole(schema, keyword, where) if keyword in schema else 0
    most = schema.get(keyword.replace("min", "max"))
    if isinstance(most, int) and least > most:
        raise SchemaError(f"{where} has a {keyword} above its maximum")
    return least


def _whole(schema: Mapping[str, Any], keyword: str, where: str) -> int:
    value = schema.get(keyword)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SchemaError(f"{where} has no {keyword}: bound it, so that an answer has an end")
    return value


def _only(schema: Mapping[str, Any], known: set[str], where: str) -> None:
    if odd := sorted(set(schema) - known):
        raise SchemaError(f"{where} says {', '.join(odd)}, which cannot be promised here: leave it out")
