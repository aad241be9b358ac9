"""Vocabulary: answers and reasoning apart, and clear words where a model takes no conversation."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2.exceptions import TemplateError

from realign_daemon.engine.api import Message
from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.errors import BadTask


class Letters:
    """A tokenizer whose tokens are characters; its template refuses what it is told to."""

    eos_token_id, bos_token_id, eos_token_ids, has_thinking = 0, 1, {0}, False

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.options: dict[str, Any] = {}

    def decode(self, tokens: list[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return "".join(chr(token) for token in tokens)

    def apply_chat_template(self, turns: list[dict[str, str]], **options: Any) -> list[int]:
        self.options = options
        if self.refuses:
            raise TemplateError("roles must alternate")
        return [ord(letter) for turn in turns for letter in turn["content"]]


@pytest.mark.parametrize(
    ("written", "text", "reasoning"),
    [
        ("plain", "plain", ""),
        ("<think>\nwell\n</think>\n\nyes", "yes", "well"),
        ("it was opened in the prompt</think>yes", "yes", "it was opened in the prompt"),
        ("<think>never done", "", "never done"),
        ("", "", ""),
    ],
)
def test_reasoning_never_leaks_into_the_answer(written: str, text: str, reasoning: str) -> None:
    vocabulary = Vocabulary(Letters(), 100)
    tokens = [ord(letter) for letter in written]
    assert vocabulary.answer(tokens, thinking="strip", opened=False) == (text, reasoning)


@pytest.mark.parametrize("thinking", [True, False])
def test_the_template_is_told_whether_to_think(thinking: bool) -> None:
    letters = Letters()
    Vocabulary(letters, 100).prompt([Message(role="user", content="a")], thinking=thinking)
    assert letters.options == {"add_generation_prompt": True, "enable_thinking": thinking}


def test_a_conversation_that_the_template_refuses_is_a_bad_task() -> None:
    with pytest.raises(BadTask, match="roles must alternate"):
        Vocabulary(Letters(refuses=True), 100).prompt([Message(role="user", content="a")], thinking=False)


def test_no_conversation_starts_a_document_where_the_template_cannot_say_it() -> None:
    assert Vocabulary(Letters(refuses=True), 100).prompt([], thinking=False) == [1]
    assert Vocabulary(Letters(), 100).prompt([], thinking=False) == [1]
