"""Sampling: which token a sequence takes, from the model's log-probabilities, its sampler, its seed and its schema."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import mlx.core as mx
from mlx_lm.sample_utils import apply_top_p

from realign_daemon.engine.api import Sampler
from realign_daemon.engine.child.grammar import Constraint
from realign_daemon.engine.errors import BadTask

# Rounding: between passes over 8 and over 512 tokens the pocket model's logits differed by 1e-4 at most and 6e-6 mostly
# (51,200 positions, float32, measured 2026-11-23). One choice in 2,300 is within 1e-3 of another and is made again;
# left alone, one in a few 100,000 would turn. The mass that top_p cuts moves as little: a first choice is made from a
# nucleus that is wider by a fraction, so that a choice at its edge is seen as one.
MARGIN = 1e-3
EDGE_FRACTION = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A choice that has been made: what it was made by, to be looked at and made again."""

    allowed: mx.array | None  # [1, vocabulary]; None: every token
    candidates: mx.array  # [1, vocabulary]: log-probabilities of what is allowed
    scores: mx.array  # [1, vocabulary]: the highest won


class Chooser:
    """Chooses the tokens of one sequence, each by a key of the seed and its position alone.

    Called by mlx_lm with the log-probabilities of the next token, before the token chosen last is known to anybody.
    """

    def __init__(
        self, sampler: Sampler, seed: int, constraint: Constraint | None = None, *, written: Sequence[int] = ()
    ) -> None:
        """`written` are the tokens that the sequence has already; the constraint knows them."""
        self.sampler, self.constraint = sampler, constraint
        self.choices: deque[Choice] = deque()  # those whose tokens nobody has taken away yet
        self._seed, self._position = seed, len(written)
        self._last: mx.array | None = None

    def __call__(self, logprobs: mx.array) -> mx.array:
        """The next token, [1], of log-probabilities [1, vocabulary]."""
        choice = self.choice(logprobs, self._position, self._allowed(logprobs), widened=EDGE_FRACTION)
        self.choices.append(choice)
        self._last = mx.argmax(choice.scores, axis=-1)
        self._position += 1
        return self._last

    def after(self, tokens: Sequence[int]) -> Chooser:
        """A chooser of the same sequence that goes on after other tokens."""
        constraint = None if self.constraint is None else self.constraint.again(tokens)
        return Chooser(self.sampler, self._seed, constraint, written=tokens)

    def choice(self, logprobs: mx.array, position: int, allowed: mx.array | None, *, widened: float = 0.0) -> Choice:
        """The choice at a position: what scores highest is a draw from the sampler's distribution (Gumbel's trick).

        The schema cuts first, then top_p (`widened` by a fraction), then the temperature spreads what is left.
        """
        candidates = logprobs if allowed is None else mx.where(allowed, logprobs, -mx.inf)
        scores = candidates
        if self.sampler.temperature > 0:
            if self.sampler.top_p < 1:
                scores = apply_top_p(scores, self.sampler.top_p * (1 + widened))
            noise = mx.random.gumbel(scores.shape, key=_key(self._seed, position))
            scores = scores * (1 / self.sampler.temperature) + noise
        return Choice(allowed=allowed, candidates=candidates, scores=scores)

    def _allowed(self, logprobs: mx.array) -> mx.array | None:
        if self.constraint is None:
            return None
        mx.async_eval(logprobs)  # the model computes while the grammar is asked
        if self._last is not None:
            self.constraint.write(cast("int", self._last.item()))
        mask = self.constraint.mask()
        return None if mask is None else mx.array(cast("Any", mask))[None]


def doubtful(choices: Sequence[Choice], samplers: Sequence[Sampler]) -> mx.array:
    """Whether rounding could have turned a choice, for each: scores are close, or the nucleus ends at the winner."""
    scores = mx.concatenate([choice.scores for choice in choices])
    best = mx.topk(scores, 2, axis=-1)
    spread = mx.array([sampler.temperature or 1.0 for sampler in samplers])
    doubt = mx.abs(best[:, 1] - best[:, 0]) * spread < MARGIN
    if any(sampler.temperature > 0 and sampler.top_p < 1 for sampler in samplers):
        candidates = mx.concatenate([choice.candidates for choice in choices])
        winners = mx.take_along_axis(candidates, mx.argmax(scores, axis=-1, keepdims=True), axis=-1)
        masses = mx.exp(candidates)
        above = mx.where(candidates > winners, masses, 0.0).sum(axis=-1)
        kept = mx.array([sampler.top_p if sampler.temperature > 0 else 2.0 for sampler in samplers])
        doubt = doubt | (above >= kept * (1 - EDGE_FRACTION) * masses.sum(axis=-1))
    return doubt


def check(sampler: Sampler) -> None:
    """Raises BadTask for a sampler that cannot draw."""
    if sampler.temperature < 0 or not 0 < sampler.top_p <= 1 or sampler.max_tokens < 1:
        message = f"{sampler} cannot draw: temperature is at least 0, top_p in (0, 1], max_tokens at least 1"
        raise BadTask(message)


def _key(seed: int, position: int) -> mx.array:
    """A 64-bit key of MLX's counter-based generator, hashed here so that no chain of splits runs on the device."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return mx.array([int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")], dtype=mx.uint32)
