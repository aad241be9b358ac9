"""Grammar: which tokens may come next, so that an answer fits its schema and ends before its room does."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# llguidance leaves the tokenizer it takes untyped.

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from numpy.typing import NDArray

from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.closing import closing, longest_closing
from realign_daemon.engine.errors import BadTask
from realign_daemon.engine.schema import ESCAPES, ITEM_SEPARATOR, KEY_SEPARATOR, Schema, SchemaError, parse

Mask = NDArray[np.bool_]  # [vocabulary]: the tokens that may come

_CHARACTER_REST_BYTES = 3  # a character that was begun with one byte of UTF-8 may need three more


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """A compiled schema."""

    schema: Schema
    start: LLMatcher  # before the first token: to be copied
    needed_tokens: int  # with so many left an answer can be closed, whatever has been written


class Grammars:
    """The grammars of one model, each compiled once."""

    def __init__(self, vocabulary: Vocabulary, vocabulary_size: int) -> None:
        """`vocabulary_size` is the model's, which may be more than its tokenizer has."""
        self.vocabulary, self.vocabulary_size = vocabulary, vocabulary_size
        self._tokenizer: LLTokenizer | None = None
        self._grammars: dict[str, Grammar] = {}

    @property
    def tokenizer(self) -> LLTokenizer:
        """The model's tokenizer as llguidance has it, made when it is first needed: that takes a second for 150,000."""
        if self._tokenizer is None:
            wrapped: Any = self.vocabulary.tokenizer._tokenizer  # noqa: SLF001 - mlx_lm's wrapper has no name for it
            try:
                self._tokenizer = from_tokenizer(
                    wrapped, n_vocab=self.vocabulary_size, eos_token=self.vocabulary.end_tokens
                )
            except ValueError as error:
                message = f"the model's tokenizer cannot be held to a schema ({error}): use another model"
                raise BadTask(message) from error
        return self._tokenizer

    def grammar(self, schema: str) -> Grammar:
        """The schema's grammar. Raises BadTask when it leaves an answer without an end, or is none."""
        if schema not in self._grammars:
            self._grammars[schema] = self._compiled(schema)
        return self._grammars[schema]

    def _compiled(self, schema: str) -> Grammar:
        try:
            parsed = parse(schema)
        except SchemaError as error:
            raise BadTask(str(error)) from error
        options: Any = {
            "whitespace_flexible": False,
            "item_separator": ITEM_SEPARATOR,
            "key_separator": KEY_SEPARATOR,
            "json_allowed_escapes": ESCAPES,
        }
        matcher = LLMatcher(self.tokenizer, LLMatcher.grammar_from_json_schema(schema, overrides=options), log_level=0)
        if matcher.is_error():
            message = f"the schema cannot be compiled: {matcher.get_error()}"
            raise BadTask(message)
        needed = longest_closing(parsed) + _CHARACTER_REST_BYTES + 1  # and the end of sequence
        return Grammar(schema=parsed, start=matcher, needed_tokens=needed)


class Constraint:
    """What one sequence may write: its reasoning if it is to reason, then an answer that fits, then its end.

    Depends on the tokens written alone. Where room runs out, the reasoning is ended and the answer is closed.
    """

    def __init__(self, grammars: Grammars, grammar: Grammar, *, max_tokens: int, thinks: bool, opened: bool) -> None:
        """`thinks` asks for reasoning, which the prompt has already `opened` or not.

        Raises:
            BadTask: `max_tokens` are too few to close any answer.
        """
        marks = grammars.vocabulary.tokenizer
        self._thinks = thinks and bool(marks.has_thinking)
        self._start_marks: tuple[int, ...] = marks.think_start_tokens if self._thinks and not opened else ()
        self._end_marks: tuple[int, ...] = marks.think_end_tokens if self._thinks else ()
        around = len(self._start_marks) + len(self._end_marks)
        if max_tokens < grammar.needed_tokens + around:
            message = (
                f"max_tokens is {max_tokens}, and an answer that fits the schema may take "
                f"{grammar.needed_tokens + around}: give it more room"
            )
            raise BadTask(message)
        self._grammars, self._grammar, self._max_tokens, self._opened = grammars, grammar, max_tokens, opened
        # Reasoning must leave room for the answer: half of all.
        self._reserved = max(grammar.needed_tokens, max_tokens // 2)
        self._matcher = grammar.start.deep_copy()
        self._forced = deque(self._start_marks)
        self._written: list[int] = []
        self._answer_at = -1 if self._thinks else 0  # where the answer begins, once that is known
        self.is_cut = False  # whether the answer was closed before the model did

    def again(self, tokens: Sequence[int]) -> Constraint:
        """The same constraint after other tokens."""
        other = Constraint(
            self._grammars, self._grammar, max_tokens=self._max_tokens, thinks=self._thinks, opened=self._opened
        )
        for token in tokens:
            other.mask()
            other.write(token)
        return other

    def write(self, token: int) -> None:
        """Goes on to the next token. The token must have been allowed; after the end nothing changes."""
        if self._forced:
            self._forced.popleft()
        self._written.append(token)
        if self._answer_at >= 0:
            self._matcher.consume_token(token)
        elif tuple(self._written[-len(self._end_marks) :]) == self._end_marks:
            self._answer_at = len(self._written)

    def mask(self) -> Mask | None:
        """The tokens that may come next; None after the end, where nothing counts."""
        left = self._max_tokens - len(self._written)
        if self._answer_at >= 0:
            has_ended = self._written[self._answer_at :] and self._written[-1] in self._grammars.vocabulary.end_tokens
            return None if has_ended else self._answering(left)
        if not self._forced and left <= self._reserved + len(self._end_marks):
            self._forced.extend(self._end_marks)
        if self._forced:
            return self._only(self._forced[0])
        mask = np.ones(self._grammars.vocabulary_size, dtype=np.bool_)
        mask[self._grammars.vocabulary.end_tokens] = False
        return mask

    def split(self) -> tuple[list[int], str]:
        """The tokens before the answer, and the answer."""
        at = self._answer_at if self._answer_at >= 0 else len(self._written)
        return self._written[:at], self._answer().decode(errors="replace")

    def _answer(self) -> bytes:
        ends = self._grammars.vocabulary.end_tokens
        answer = [token for token in self._written[self._answer_at :] if token not in ends]
        return self._grammars.tokenizer.decode_bytes(answer) if self._answer_at >= 0 else b""

    def _answering(self, left: int) -> Mask:
        if not self._forced and left <= self._grammar.needed_tokens:
            try:
                self._close(self._answer().decode())
            except UnicodeDecodeError:
                return self._shortest(self._allowed())
        return self._only(self._forced[0]) if self._forced else self._allowed()

    def _close(self, begun: str) -> None:
        rest = closing(self._grammar.schema, begun)
        self.is_cut |= self._matcher.compute_ff_bytes() != rest.encode()
        self._forced.extend(self._grammars.tokenizer.greedy_tokenize(rest))
        self._forced.append(self._grammars.vocabulary.end_token)

    def _allowed(self) -> Mask:
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        return np.unpackbits(bits, count=self._grammars.vocabulary_size, bitorder="little").view(np.bool_)

    def _shortest(self, mask: Mask) -> Mask:
        """One of the tokens allowed inside a character: it adds a byte, where any does."""
        tokenizer = self._grammars.tokenizer
        return self._only(min(np.flatnonzero(mask).tolist(), key=lambda token: len(tokenizer.decode_bytes([token]))))

    def _only(self, token: int) -> Mask:
        mask = np.zeros(self._grammars.vocabulary_size, dtype=np.bool_)
        mask[token] = True
        return mask
