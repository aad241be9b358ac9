"""Rows: token sequences of different lengths that go through the model together, each with its own cache."""

# pyright: reportUnknownMemberType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import mlx.core as mx
from mlx_lm.generate import PromptProcessingBatch
from mlx_lm.models.cache import make_prompt_cache

from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.load import FullPrecisionLogits, Loaded
from realign_daemon.engine.child.shape import padded

_FEW_TOKENS = 8


def prefill_step_tokens(model: FullPrecisionLogits, rows: int) -> int:
    """How many tokens of every row go through the model at once."""
    return max(1, model.pass_tokens // rows)


def full_pass_s(loaded: Loaded, duty: Duty) -> float:
    """How long the largest pass that there ever is takes, rests of all ranks included, once everything is in place."""

    def taken_s(tokens: int) -> float:
        began_s = time.perf_counter()
        with duty.step():
            mx.eval(Rows(loaded.model, 1).next_logits([[0] * tokens]))
        return time.perf_counter() - began_s

    most = min(loaded.model.pass_tokens, loaded.vocabulary.context_tokens)
    taken_s(min(_FEW_TOKENS, most))
    return taken_s(most)


class Rows:
    """A batch of caches that grows by feeding. mlx_lm keeps the padding; every kind of cache it batches works.

    Several rows are padded to one of few widths (see shape.py); a single row is not.
    """

    def __init__(self, model: FullPrecisionLogits, count: int) -> None:
        """`count` empty rows."""
        self._model = model
        caches = [make_prompt_cache(cast("Any", model)) for _ in range(count)]
        self._batch: Any = PromptProcessingBatch(
            cast("Any", model),
            list(range(count)),
            caches,
            prefill_step_size=prefill_step_tokens(model, count),
            samplers=cast("Any", [None] * count),  # nothing is sampled, but dropping rows drops these, too
            logits_processors=cast("Any", [None] * count),
        )

    def next_logits(self, rows: Sequence[Sequence[int]]) -> mx.array:
        """Feeds at least one token to every row; the logits after each row's last one, [rows, vocabulary]."""
        self._feed([list(row[:-1]) for row in rows])
        last = mx.array([[row[-1]] for row in rows])
        return self._model(last, cache=self._batch.prompt_cache)[:, -1, :]

    def final_logits(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> mx.array:
        """The logits before each completion token, [rows, longest completion, vocabulary]; what pads is noise.

        Only completions get logits: those of a long prompt over a large vocabulary would be gigabytes. The rows
        are spent afterwards, since their caches then hold padding.
        """
        self._feed([list(prompt[:-1]) for prompt in prompts])
        longest = _width([len(completion) for completion in completions])
        inputs = [[prompt[-1], *completion[:-1]] for prompt, completion in zip(prompts, completions, strict=True)]
        tokens = mx.array([row + [0] * (longest - len(row)) for row in inputs])
        logits: list[mx.array] = []
        for part in self._passes(tokens):
            logits.append(self._model(part, cache=self._batch.prompt_cache))
            mx.eval(logits[-1])
            self._model.on_pass()
        return mx.concatenate(logits, axis=1)

    def keep(self, indices: Sequence[int]) -> None:
        """Drops all other rows."""
        self._batch.filter(list(indices))

    def _feed(self, rows: list[list[int]]) -> None:
        """As mlx_lm's batch reads prompts, but to a width of ours."""
        width = _width([len(row) for row in rows])
        if not width:
            return
        padding = [width - len(row) for row in rows]
        tokens = mx.array([row + [0] * missing for row, missing in zip(rows, padding, strict=True)])
        caches = self._batch.prompt_cache
        for cache in caches:
            cache.prepare(lengths=[len(row) for row in rows], right_padding=padding)
        for part in self._passes(tokens):
            self._model(part, cache=caches)
            mx.eval([cache.state for cache in caches])
            self._model.on_pass()
        for cache in caches:
            cache.finalize()

    def _passes(self, tokens: mx.array) -> Iterator[mx.array]:
        """[rows, tokens] cut into what goes through the model at once."""
        rows, width = tokens.shape
        step_tokens = prefill_step_tokens(self._model, rows)
        return (tokens[:, start : start + step_tokens] for start in range(0, width, step_tokens))


def _width(lengths: Sequence[int]) -> int:
    return padded(max(lengths)) if len(lengths) > 1 else lengths[0]
