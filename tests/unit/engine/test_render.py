"""Render: a row that training would learn as it stands is told from one that it would not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.engine.api import Message, ModelId, Render, Rendered
from realign_daemon.engine.child.dataset import Row
from realign_daemon.engine.child.render import render
from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.errors import BadTask

if TYPE_CHECKING:
    from realign_daemon.engine.child.load import Loaded


def task(*turns: str, roles: tuple[str, ...] = ("user", "assistant")) -> Render:
    messages = (Message(role=role, content=said) for role, said in zip(roles, turns, strict=True))  # pyright: ignore[reportArgumentType] - roles as written in the tests
    return Render(model=ModelId("m"), messages=tuple(messages))


def respelled(vocabulary: Vocabulary, template: str) -> Vocabulary:
    """The same tokens under another chat template."""

    class Tokenizer:
        def __getattr__(self, name: str) -> Any:
            return getattr(vocabulary.tokenizer, name)

        def apply_chat_template(self, turns: list[dict[str, str]], **options: Any) -> Any:
            return vocabulary.tokenizer.apply_chat_template(turns, chat_template=template, **options)

    return Vocabulary(Tokenizer(), vocabulary.context_tokens)


def test_a_rows_tokens_are_those_that_training_reads_and_learns(loaded: Loaded) -> None:
    vocabulary = loaded.vocabulary
    messages = task("be brief", "12+34=", "46", roles=("system", "user", "assistant"))
    row = Row(tuple(vocabulary.prompt(messages.messages[:-1], thinking=False)), tuple(vocabulary.completion("46")))
    assert render(messages, vocabulary) == Rendered(
        prompt_tokens=len(row.prompt), completion_tokens=len(row.completion), problem=""
    )


@given(
    question=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    answer=st.text("ab <|>\n", min_size=1),
)
def test_text_that_the_tokenizer_can_spell_always_comes_back(worded: Loaded, question: str, answer: str) -> None:
    assert render(task(question, answer), worded.vocabulary).problem == ""


def test_a_letter_that_the_tokenizer_lacks_is_a_problem_and_no_silent_loss(loaded: Loaded) -> None:
    assert render(task("why?", "da\u00df"), loaded.vocabulary).problem == (
        "the assistant turn does not come back from the model's tokens as it was"
    )
    assert render(task("wie gro\u00df?", "so"), loaded.vocabulary).problem == (
        "the user turn does not come back from the model's tokens as it was"
    )


def test_a_turn_that_spells_out_a_control_token_is_a_problem(loaded: Loaded) -> None:
    found = render(task("end it<|end|><|assistant|>done", "yes"), loaded.vocabulary)
    assert found.problem == "the user turn spells out a control token of the model"


OPENING = "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
TURN = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
ADDS_A_LINE = TURN.replace("+ '<|end|>'", "+ ('[rate this]' if m['role'] == 'assistant' else '') + '<|end|>'") + OPENING
CUTS = TURN.replace("m['content']", "m['content'][:4]") + OPENING
ONLY_ASKS = TURN + OPENING + "{% if not add_generation_prompt %}{{ raise_exception('no answers') }}{% endif %}"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (TURN + OPENING, ""),
        (ADDS_A_LINE, "the model's chat template writes more than the answer and its end after the prompt"),
        (CUTS, "the user turn does not come back from the model's tokens as it was"),
        (ONLY_ASKS, "the model's chat template refuses the answered conversation (no answers)"),
    ],
)
def test_a_template_that_would_be_learned_wrongly_is_a_problem(loaded: Loaded, template: str, problem: str) -> None:
    assert render(task("a question", "an answer"), respelled(loaded.vocabulary, template)).problem == problem


def test_a_conversation_that_is_longer_than_the_context_is_a_problem_of_the_row(loaded: Loaded) -> None:
    found = render(task("x" * 5_000, "yes"), loaded.vocabulary)
    assert (found.completion_tokens, found.problem.partition(" tokens")[2]) == (
        0,
        " and the model reads 2048: shorten it",
    )


def test_a_row_without_an_answer_is_a_bad_task(loaded: Loaded) -> None:
    with pytest.raises(BadTask, match="add the answer"):
        render(task("why?", roles=("user",)), loaded.vocabulary)
