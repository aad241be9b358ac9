"""Schemas without a model: values that fit, and answers closed wherever they were cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.closing import closing, longest_closing
from realign_daemon.engine.schema import Schema, fits, from_plain, written

LETTERS = st.characters(blacklist_categories=("Cs", "Cc"), whitelist_characters='"\\\n\t')
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-200, 200), st.text(alphabet='ab"\\é', max_size=4))


@st.composite
def strings(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    text = draw(st.text(alphabet=LETTERS, max_size=6))
    bounds = {"minLength": draw(st.integers(0, len(text))), "maxLength": draw(st.integers(len(text), 9))}
    return {"type": "string", **bounds}, text


@st.composite
def integers(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    least, value, most = sorted(draw(st.tuples(*[st.integers(-2000, 2000)] * 3)))
    return {"type": "integer", "minimum": least, "maximum": most}, value


@st.composite
def choices(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    values = draw(st.lists(SCALARS, min_size=1, max_size=4))
    return {"enum": values}, draw(st.sampled_from(values))


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[tuple[dict[str, Any], Any]]) -> tuple[dict[str, Any], Any]:
    schema, value = draw(inner)
    count = draw(st.integers(0, 3))
    bounds = {"minItems": draw(st.integers(0, count)), "maxItems": draw(st.integers(count, 4))}
    return {"type": "array", "items": schema, **bounds}, [value] * count


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[tuple[dict[str, Any], Any]]) -> tuple[dict[str, Any], Any]:
    fields = draw(st.dictionaries(st.sampled_from(("a", "bc", "b", "d_1")), inner, min_size=1, max_size=3))
    properties = {name: schema for name, (schema, _) in fields.items()}
    plain = {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}
    return plain, {name: value for name, (_, value) in fields.items()}


SCALAR_CASES = st.one_of(strings(), integers(), choices(), st.just(({"type": "boolean"}, True)))
CASES = st.recursive(SCALAR_CASES, lambda inner: st.one_of(arrays(inner), objects(inner)), max_leaves=5)


@given(CASES)
def test_an_answer_cut_anywhere_is_closed_in_no_more_than_the_promised_bytes(case: tuple[dict[str, Any], Any]) -> None:
    schema: Schema = from_plain(case[0])
    whole = written(case[1])
    assert fits(schema, case[1])
    for length in range(len(whole) + 1):
        added = closing(schema, whole[:length])
        assert fits(schema, json.loads(whole[:length] + added))
        assert len(added.encode()) <= longest_closing(schema)
    assert closing(schema, whole) == ""


@given(CASES, SCALARS)
def test_what_does_not_fit_is_told_from_what_does(case: tuple[dict[str, Any], Any], other: object) -> None:
    plain, value = case
    held: dict[str, Any] = {
        "type": "object",
        "properties": {"x": plain},
        "required": ["x"],
        "additionalProperties": False,
    }
    schema = from_plain(held)
    assert fits(schema, {"x": value})
    assert not fits(schema, {"x": value, "y": other})
    assert not fits(schema, {})
    assert not fits(schema, [value])
    assert not fits(schema, {"x": 1.5})
