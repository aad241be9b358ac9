"""Reasoning: asked for or not, apart from the answer or kept with it, and never without room for the answer."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from realign_daemon.engine.api import Fill, Generate, Generated, Message, ModelId, Sampler, Score, Slot, Thinking
from realign_daemon.engine.child.fill import form_of
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.score import text_of
from realign_daemon.engine.child.tokens import Vocabulary

QUESTION = (Message(role="user", content="why?"),)
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"answer": {"type": "string", "maxLength": 40}},
        "required": ["answer"],
        "additionalProperties": False,
    }
)


def generate(seed: int, thinking: Thinking, **more: Any) -> Generate:
    sampler = Sampler(temperature=1.0, max_tokens=60)
    return Generate(
        model=ModelId("m"),
        messages=QUESTION,
        sampler=sampler,
        seed=seed,
        template="t",
        thinking=thinking,
        **more,
    )


def written(loaded: Loaded, tasks: list[Generate]) -> list[Generated]:
    sequences = Sequences(loaded, 16)
    for number, one in enumerate(tasks):
        sequences.add(number, one)
    finished: dict[int, Generated] = {}
    while sequences:
        finished.update(sequences.step())
    sequences.close()
    return [finished[number] for number in range(len(tasks))]


@pytest.fixture
def vocabulary(worded: Loaded) -> Vocabulary:
    return worded.vocabulary


@pytest.fixture
def opening(worded: Loaded, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """The model with a template that opens the reasoning itself, whatever it is told."""
    tokenizer: Any = worded.vocabulary.tokenizer
    template = cast("str", tokenizer.chat_template)
    always = template.partition("{% if add_generation_prompt and")[0] + "{{ '<think>\n' }}"
    monkeypatch.setattr(tokenizer._tokenizer, "chat_template", always)
    return worded


def text(vocabulary: Vocabulary, tokens: list[int] | tuple[int, ...]) -> str:
    return cast("str", vocabulary.tokenizer.decode(list(tokens), skip_special_tokens=False))


@pytest.mark.parametrize(
    ("said", "opened", "expected"),
    [
        ("<think>\nso it is\n</think>\n\nyes", False, ("yes", "<think>\nso it is\n</think>\n\nyes", "so it is")),
        ("so it is</think>yes", True, ("yes", "<think>so it is</think>yes", "so it is")),
        ("never done", True, ("", "<think>never done", "never done")),
        ("<think>never done", False, ("", "<think>never done", "never done")),
        ("<think>\n\n</think>\n\nyes", False, ("yes", "<think>\n\n</think>\n\nyes", "")),
        ("yes", False, ("yes", "yes", "")),
        ("", True, ("", "", "")),
    ],
)
def test_reasoning_is_told_from_the_answer_by_its_marks_even_as_control_tokens(
    vocabulary: Vocabulary, said: str, opened: bool, expected: tuple[str, str, str]
) -> None:
    strip, keep, reasoning = expected
    tokens = vocabulary.plain(said)
    assert vocabulary.answer(tokens, thinking="strip", opened=opened) == (strip, reasoning)
    assert vocabulary.answer(tokens, thinking="off", opened=opened) == (strip, reasoning)
    assert vocabulary.answer(tokens, thinking="keep", opened=opened) == (keep, reasoning)


def test_a_prompt_without_reasoning_has_none_open(vocabulary: Vocabulary, opening: Loaded) -> None:
    closed, opened = (vocabulary.prompt(QUESTION, thinking=thinks) for thinks in (False, True))
    assert text(vocabulary, opened).endswith("<think>\n")
    assert text(vocabulary, closed).endswith("<think>\n</think>\n\n")
    assert (vocabulary.is_reasoning(closed), vocabulary.is_reasoning(opened)) == (False, True)


def test_forms_are_filled_without_reasoning(opening: Loaded) -> None:
    form = Fill(model=ModelId("m"), messages=QUESTION, form=(Slot(before="", choices=("1", "2")),), template="t")
    assert text(opening.vocabulary, form_of(form, opening.vocabulary).prompt).endswith("</think>\n\n")


def test_a_completion_is_scored_after_what_it_was_written_after(opening: Loaded) -> None:
    kept = Score(model=ModelId("m"), messages=QUESTION, completion="<think>\nwell</think>yes", thinking="keep")
    scored = text_of(kept, opening.vocabulary)
    assert text(opening.vocabulary, scored.prompt).endswith("<think>\n")
    assert text(opening.vocabulary, scored.completion) == "\nwell</think>yes<|end|>"
    bare = Score(model=ModelId("m"), messages=QUESTION, completion="yes", thinking="strip")
    assert text(opening.vocabulary, text_of(bare, opening.vocabulary).prompt).endswith("</think>\n\n")


@pytest.mark.parametrize("thinking", ["off", "strip", "keep"])
def test_an_answer_fits_its_schema_after_a_reasoning_that_leaves_it_room(worded: Loaded, thinking: Thinking) -> None:
    results = written(worded, [generate(seed, thinking, schema=SCHEMA) for seed in range(16)])
    for result in results:
        assert list(json.loads(result.text)) == ["answer"]
        assert result.completion_tokens <= 60
        assert bool(result.reasoning) == (thinking != "off")


def test_a_template_that_opens_the_reasoning_is_followed(opening: Loaded) -> None:
    results = written(opening, [generate(seed, "strip", schema=SCHEMA) for seed in range(8)])
    assert all(json.loads(result.text) and result.reasoning for result in results)
    free = written(opening, [generate(seed, "strip") for seed in range(8)])
    assert all(result.reasoning for result in free)


def test_kept_reasoning_stands_before_the_answer_in_the_models_own_marks(worded: Loaded) -> None:
    stripped, kept = (
        written(worded, [generate(seed, thinking) for seed in range(40)]) for thinking in ("strip", "keep")
    )
    for without, full in zip(stripped, kept, strict=True):
        assert without.reasoning == full.reasoning
        assert full.text.endswith(without.text)
        assert full.text.startswith("<think>") == (full.text != without.text)
