"""Vocabulary: the loaded model's tokenizer as the engine uses it: prompts, completions, choices, answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from jinja2.exceptions import TemplateError

from realign_daemon.engine.api import Message
from realign_daemon.engine.errors import BadTask


class Vocabulary:
    """Text to token ids and back. Every task goes through here, so that scoring, training and sampling agree."""

    def __init__(self, tokenizer: Any, context_tokens: int) -> None:
        """`tokenizer` is mlx_lm's wrapper; `context_tokens` is how many tokens the model was made for."""
        self.tokenizer = tokenizer
        self.context_tokens = context_tokens
        self.end_token = int(tokenizer.eos_token_id)
        self.end_tokens = sorted(int(token) for token in tokenizer.eos_token_ids)

    def prompt(self, messages: Sequence[Message], *, thinking: bool) -> list[int]:
        """The conversation up to the place where the assistant starts to write.

        With no messages: an assistant turn after nothing, as far as the template can say that; else the token that
        starts (or, where there is none, separates) documents.

        Raises:
            BadTask: the model's template does not take this conversation, or it is longer than the context.
        """
        try:
            tokens = self._render(messages, thinking=thinking)
        except (TemplateError, ValueError) as error:
            if messages:
                message = f"the model's chat template refuses the conversation ({error}): use a chat model"
                raise BadTask(message) from error
            tokens = []
        if not tokens:
            start = self.tokenizer.bos_token_id
            tokens = [self.end_token if start is None else int(start)]
        if len(tokens) >= self.context_tokens:
            message = f"the prompt has {len(tokens)} tokens and the model reads {self.context_tokens}: shorten it"
            raise BadTask(message)
        return tokens

    def completion(self, text: str) -> list[int]:
        """The tokens of an answer, the end-of-sequence token included."""
        return [*self.plain(text), self.end_token]

    def plain(self, text: str) -> list[int]:
        """The tokens of a text that goes on from other text."""
        return cast("list[int]", self.tokenizer.encode(text, add_special_tokens=False)) if text else []

    def choice(self, before: str, choice: str) -> int:
        """The one token that writes `choice` right after `before`. Raises BadTask when it takes none or several."""
        head = self.plain(before)
        both = self.plain(before + choice)
        if len(both) != len(head) + 1 or both[:-1] != head:
            message = (
                f"the choice {choice!r} is not one token after {before[-20:]!r}: choose other choices for the model"
            )
            raise BadTask(message)
        return both[-1]

    def answer(self, tokens: Sequence[int]) -> tuple[str, str]:
        """The text of an answer and the reasoning that came before it, apart. Control tokens leave no trace in either.

        Reasoning that never ended leaves an empty answer. A template may have opened the reasoning in the prompt, so
        a lone end mark counts, too.
        """
        text = cast("str", self.tokenizer.decode(list(tokens), skip_special_tokens=True))
        start, end = self.tokenizer.think_start or "<think>", self.tokenizer.think_end or "</think>"
        head, closed, tail = text.partition(end)
        if closed:
            return tail.lstrip("\n"), head.replace(start, "", 1).strip()
        if text.lstrip().startswith(start):
            return "", text.lstrip().removeprefix(start).strip()
        return text, ""

    def _render(self, messages: Sequence[Message], *, thinking: bool) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        rendered = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, enable_thinking=thinking)
        return [int(token) for token in rendered]
