"""Canary: texts whose probabilities are known, asked of a model to see whether it still computes what it should."""

# pyright: reportUnknownMemberType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import mlx.core as mx
from mlx_lm.generate import BatchGenerator

from realign_daemon.engine.api import Score
from realign_daemon.engine.child.forward import prefill_step_tokens
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.objective import Alive
from realign_daemon.engine.child.score import Text, text_of, token_logprobs

# Written of every text. What went wrong in sharded models did so in steps of one token after much was read, or when
# reading and writing alternated: a few steps meet all of that, and each costs a group what any token costs it.
_MOST_STEPS = 4
# In a batch every text takes as much memory as the longest, but never less than the 256 tokens by which caches grow.
_SHORT_TOKENS = 240


def sing(loaded: Loaded, tasks: Sequence[Score], alive: Alive) -> list[list[float]]:
    """Log-probabilities of the completions' tokens: of all tasks but the last as scored, then of all as written.

    A score is of this very rank. Written is what the group goes by, all texts in one batch, or the last by itself
    if it is long, but of each the first tokens only. Nothing else is in these batches, so that the figures compare with
    those of any other group and of a single machine.

    Raises:
        BadTask: a text is longer than the model reads.
    """
    texts = [text_of(task, loaded.vocabulary) for task in tasks]
    scored = token_logprobs(loaded.own, texts[:-1])
    alive()
    batches = [texts] if len(texts[-1].prompt) <= _SHORT_TOKENS else [texts[:-1], texts[-1:]]
    return [*scored, *(row for batch in batches for row in _written(loaded, batch, alive))]


def _written(loaded: Loaded, texts: Sequence[Text], alive: Alive) -> list[list[float]]:
    """As completions are generated, but that each token is dictated.

    The last of several has begun when the others join it, as units do: so prompts are read between steps of one token,
    and steps have one row, several, and fewer again as texts end.
    """
    found: list[list[float]] = [[] for _ in texts]
    generator = BatchGenerator(
        cast("Any", loaded.model),
        stream=loaded.peers.stream,
        completion_batch_size=len(texts),
        prefill_batch_size=len(texts),
        prefill_step_size=prefill_step_tokens(loaded.model, len(texts)),
    )
    try:
        *others, first = enumerate(texts)
        place_of = _begin(generator, [first])
        while place_of:
            responses = generator.next()[1]
            for response, logprob in zip(responses, _logprobs(responses), strict=True):
                found[place_of[response.uid]].append(logprob)
                if response.finish_reason is not None:
                    del place_of[response.uid]
            if responses and others:
                place_of |= _begin(generator, others)
                others = []
            alive()
    finally:
        generator.close()
    return found


def _begin(generator: BatchGenerator, texts: Sequence[tuple[int, Text]]) -> dict[int, int]:
    """Lets texts join, each with its place; the places by the generator's numbers."""
    dictated = [text.completion[:_MOST_STEPS] for _, text in texts]
    uids = generator.insert(
        [list(text.prompt) for _, text in texts],
        [len(tokens) for tokens in dictated],
        samplers=cast("Any", [_Dictation(tokens) for tokens in dictated]),
    )
    return {uid: place for uid, (place, _) in zip(uids, texts, strict=True)}


def _logprobs(responses: Sequence[Any]) -> list[float]:
    """Of the token of each response."""
    if not responses:
        return []
    return cast("list[float]", mx.stack([one.logprobs[one.token] for one in responses]).tolist())


class _Dictation:
    """A sampler of one row that says the given tokens, one a call."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = iter((*tokens, tokens[-1]))  # the generator is one step ahead of what it gives

    def __call__(self, _: mx.array) -> mx.array:
        return mx.array([next(self._tokens)])
