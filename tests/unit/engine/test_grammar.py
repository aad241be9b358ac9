"""Answers held to a schema: whole and valid from any model, in any company, whatever room there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from realign_daemon.engine.api import Generate, Generated, Message, ModelId, Sampler
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.errors import BadTask
from realign_daemon.engine.schema import fits, parse

STRING = {"type": "string", "maxLength": 30}
SCHEMAS: dict[str, dict[str, Any]] = {
    "question": {"question": {"type": "string", "maxLength": 200}},
    "choice": {"grade": {"enum": ["right", "wrong", "right or wrong", 1, 10, None, True]}},
    "whole numbers": {
        "a": {"type": "integer", "minimum": -120, "maximum": 35},
        "b": {"type": "integer", "minimum": 101, "maximum": 99_999},
    },
    "nested": {
        "point": {"type": "object", "properties": {"label": STRING, "sure": {"type": "boolean"}}},
        "why": STRING,
    },
    "list": {
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": 4,
            "items": {"type": "string", "minLength": 3, "maxLength": 9},
        }
    },
}


def schema(properties: dict[str, Any]) -> str:
    return json.dumps(whole({"type": "object", "properties": properties}))


def whole(plain: dict[str, Any]) -> dict[str, Any]:
    """With what an object must say about its properties."""
    if plain.get("type") != "object":
        return plain
    properties = {name: whole(value) for name, value in plain["properties"].items()}
    return {**plain, "properties": properties, "required": list(properties), "additionalProperties": False}


def task(seed: int, held_to: str | None, *, max_tokens: int = 90, temperature: float = 1.0, **more: Any) -> Generate:
    return Generate(
        model=ModelId("m"),
        messages=(Message(role="user", content="a" * (1 + seed % 9)),),
        sampler=Sampler(temperature=temperature, top_p=(1.0, 0.9)[seed % 2], max_tokens=max_tokens),
        seed=seed,
        template="t",
        schema=held_to,
        **more,
    )


def written(loaded: Loaded, tasks: Sequence[Generate], batch_size: int = 32) -> list[Generated]:
    sequences = Sequences(loaded, batch_size)
    for number, one in enumerate(tasks):
        sequences.add(number, one)
    finished: dict[int, Generated] = {}
    while sequences:
        finished.update(sequences.step())
    sequences.close()
    return [finished[number] for number in range(len(tasks))]


def test_two_hundred_of_two_hundred_answers_of_random_weights_are_valid(worded: Loaded) -> None:
    _check_all_valid(worded, 200)


def test_so_are_those_of_the_pocket_model_letter_by_letter(pocket: Loaded) -> None:
    _check_all_valid(pocket, 40)


def _check_all_valid(loaded: Loaded, count: int) -> None:
    schemas = [schema(properties) for properties in SCHEMAS.values()]
    rooms, temperatures = (70, 90, 150), (0, 1.0, 1.5)
    tasks = [
        task(seed, schemas[seed % 5], max_tokens=rooms[seed % 3], temperature=temperatures[seed % 7 % 3])
        for seed in range(count)
    ]
    results = written(loaded, tasks, 64)
    for one, result in zip(tasks, results, strict=True):
        assert fits(parse(str(one.schema)), json.loads(result.text)), result.text
        assert result.completion_tokens <= one.sampler.max_tokens
        assert result.logprob < 0
    assert {result.finish_reason for result in results} == {"stop", "length"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_answer_is_closed_in_the_least_room_that_is_taken(worded: Loaded, name: str) -> None:
    held_to = schema(SCHEMAS[name])
    with pytest.raises(BadTask, match="max_tokens is 1,") as refused:
        written(worded, [task(0, held_to, max_tokens=1)])
    least = int(str(refused.value).split("may take ")[1].split(":")[0])
    tasks = [task(seed, held_to, max_tokens=least + seed % 3, temperature=2.0) for seed in range(20)]
    for one, result in zip(tasks, written(worded, tasks), strict=True):
        assert fits(parse(held_to), json.loads(result.text))
        assert result.completion_tokens <= one.sampler.max_tokens


def test_a_string_is_cut_between_characters_and_escapes(worded: Loaded) -> None:
    """At a high temperature the model writes bytes of long characters; every one of them is finished or left out."""
    tasks = [task(seed, schema({"q": STRING}), max_tokens=20 + seed % 20, temperature=5.0) for seed in range(60)]
    texts = [json.loads(result.text)["q"] for result in written(worded, tasks)]
    assert any(not text.isascii() for text in texts)
    assert "\ufffd" not in "".join(texts)


def test_free_and_held_sequences_leave_each_other_alone(worded: Loaded) -> None:
    held_to = schema(SCHEMAS["nested"])
    tasks = [task(seed, held_to if seed % 3 else None, max_tokens=75) for seed in range(24)]
    together = written(worded, tasks, 24)
    for one, result in list(zip(tasks, together, strict=True))[:6]:
        (alone,) = written(worded, [one], 1)
        assert replace(alone, logprob=0.0) == replace(result, logprob=0.0)
        assert alone.logprob == pytest.approx(result.logprob, abs=1e-3)
    free = [result.text for one, result in zip(tasks, together, strict=True) if one.schema is None]
    assert not any(text.startswith("{") for text in free)


def test_the_log_probability_is_the_models_own_and_not_that_of_what_is_allowed(worded: Loaded) -> None:
    (result,) = written(worded, [task(1, schema({"grade": {"enum": ["right"]}}))])
    assert result.text == '{"grade": "right"}'
    assert result.logprob < -3.0 * result.completion_tokens  # one token was allowed each time; the model had 1,500


def test_properties_come_in_the_order_of_the_schema(worded: Loaded) -> None:
    wanted = {name: {"type": "boolean"} for name in ("why", "answer", "because")}
    (result,) = written(worded, [task(1, schema(wanted))])
    assert list(json.loads(result.text)) == list(wanted)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"q": {"type": "string"}}, "q in the schema has no maxLength"),
        ({"q": {"type": "array", "items": STRING}}, "q in the schema has no maxItems"),
        (
            {"q": {"type": "array", "items": {"type": "string"}, "maxItems": 3}},
            "items of q in the schema has no maxLength",
        ),
        ({"q": {"type": "integer", "minimum": 3}}, "maximum"),
        ({"q": {"type": "number"}}, "type 'number'"),
        ({"q": {"type": "string", "maxLength": 3, "pattern": "a*"}}, "says pattern"),
        ({"q": {"type": "string", "maxLength": 3, "minLength": 4}}, "above its maximum"),
        ({"q": {"type": "integer", "minimum": 3, "maximum": 1}}, "above its maximum"),
        ({"q": {"enum": []}}, "without values"),
        ({"q": {"enum": [1.5]}}, "more than strings"),
        ({"q w": STRING}, "letters, digits"),
        ({}, "without properties"),
    ],
)
def test_a_schema_without_bounds_is_refused_and_told_what_lacks_one(
    worded: Loaded, properties: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadTask, match=words):
        written(worded, [task(0, schema(properties))])


@pytest.mark.parametrize(
    ("held_to", "words"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ('{"type": "object", "properties": {"a": {"type": "null"}}}', "additionalProperties"),
        ('{"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": false}', "require all"),
    ],
)
def test_what_is_no_schema_is_refused(worded: Loaded, held_to: str, words: str) -> None:
    with pytest.raises(BadTask, match=words):
        written(worded, [task(0, held_to)])
