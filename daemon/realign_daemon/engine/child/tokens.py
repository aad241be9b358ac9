"""Vocabulary: the loaded model's tokenizer as the engine uses it: prompts, completions, choices, answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from jinja2.exceptions import TemplateError

from realign_daemon.engine.api import Message, Thinking
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
        """The conversation up to the place where the assistant starts to write its answer or, thinking, its reasoning.

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
        if not thinking and self.is_reasoning(tokens):
            tokens = [
                *tokens,
                *self.tokenizer.think_end_tokens,
                *self.plain("\n\n"),
            ]  # a template that always opens one
        if len(tokens) >= self.context_tokens:
            message = f"the prompt has {len(tokens)} tokens and the model reads {self.context_tokens}: shorten it"
            raise BadTask(message)
        return tokens

    def is_reasoning(self, tokens: Sequence[int]) -> bool:
        """Whether the tokens stop inside a reasoning."""
        if not self.tokenizer.has_thinking:
            return False
        begins = self.tokenizer.rfind_think_start(tokens)
        return begins >= 0 and begins > self.tokenizer.rfind_think_end(tokens)

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

    def answer(self, tokens: Sequence[int], *, thinking: Thinking, opened: bool) -> tuple[str, str]:
        """The text of an answer, and the reasoning that came before it without its marks.

        The text holds the reasoning, too, when `thinking` is "keep". `opened` says that the prompt stops inside a
        reasoning. Reasoning that never ended leaves an empty answer. Other control tokens leave no trace.
        """
        if self.tokenizer.has_thinking:
            marks = (self.tokenizer.think_start, self.tokenizer.think_end)
            reasoning, end, text = self._split(tokens, opened=opened)
        else:  # a model may write marks that its tokenizer does not know
            marks = ("<think>", "</think>")
            reasoning, end, text = _split_text(self._decode(tokens))
        kept = f"{marks[0]}{reasoning}{marks[1] if end else ''}" if reasoning or end else ""
        return f"{kept}{text}" if thinking == "keep" else text.lstrip("\n") if end else text, reasoning.strip()

    def _split(self, tokens: Sequence[int], *, opened: bool) -> tuple[str, bool, str]:
        """Reasoning, whether it ended, and the rest."""
        begins = self.tokenizer.find_think_start(tokens)
        ends = self.tokenizer.find_think_end(tokens)
        if ends < 0 and begins < 0 and not opened:
            return "", False, self._decode(tokens)
        stop = ends if ends >= 0 else len(tokens)
        start = begins + len(self.tokenizer.think_start_tokens) if 0 <= begins < stop else 0
        after = tokens[stop + len(self.tokenizer.think_end_tokens) :]
        return self._decode(tokens[start:stop]), ends >= 0, self._decode(after)

    def _decode(self, tokens: Sequence[int]) -> str:
        return cast("str", self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _render(self, messages: Sequence[Message], *, thinking: bool) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        rendered = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, enable_thinking=thinking)
        return [int(token) for token in rendered]


def _split_text(text: str) -> tuple[str, bool, str]:
    """Reasoning, whether it ended, and the rest, of a text whose marks are text."""
    reasoning, ended, rest = text.partition("</think>")
    if ended:
        return reasoning.replace("<think>", "", 1), True, rest
    if text.lstrip().startswith("<think>"):
        return text.lstrip().removeprefix("<think>"), False, ""
    return "", False, text
