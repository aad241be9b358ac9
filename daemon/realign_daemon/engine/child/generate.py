"""Sequences: completions that are being written together; each may join and leave while the others go on."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import mlx.core as mx
from mlx_lm.generate import BatchGenerator
from mlx_lm.sample_utils import apply_top_p

from realign_daemon.engine.api import Generate, Generated, Sampler
from realign_daemon.engine.child.forward import prefill_step_tokens
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.errors import BadTask

DrawTokens = Callable[[mx.array], mx.array]


@dataclass(slots=True, kw_only=True)
class _Sequence:
    task_id: int
    prompt_tokens: int
    tokens: list[int] = field(default_factory=list[int])
    logprob: float = 0.0


class Sequences:
    """The running batch. What a sequence becomes depends on its task only, never on its neighbours.

    That holds up to float rounding: a product over 8 rows may differ from one over 1 in the last digit, which can
    turn a draw that lay on an edge.
    """

    def __init__(self, loaded: Loaded, max_batch_size: int, *, ends: bool = True) -> None:
        """At most `max_batch_size` sequences decode at once; the others wait their turn inside.

        With `ends` false no token ends a sequence before its last.
        """
        self._vocabulary = loaded.vocabulary
        self.written = 0  # tokens, all sequences together
        self._running: dict[int, _Sequence] = {}
        self._generator = BatchGenerator(
            cast("Any", loaded.model),
            stop_tokens=[[token] for token in loaded.vocabulary.end_tokens] if ends else None,
            completion_batch_size=max_batch_size,
            # Prompts are read as many at a time as are written: with 8, mlx_lm's choice, 64 short answers of the
            # pocket model took twice as long (0.31 against 0.13 s, measured 2026-11-23).
            prefill_batch_size=max_batch_size,
            prefill_step_size=prefill_step_tokens(max_batch_size),
        )

    def __len__(self) -> int:
        """How many sequences are not finished."""
        return len(self._running)

    def add(self, task_id: int, task: Generate) -> None:
        """Lets a task join. Its tokens end where the model's context does. Raises BadTask."""
        check(task.sampler)
        prompt = self._vocabulary.prompt(task.messages, thinking=task.thinking)
        room = min(task.sampler.max_tokens, self._vocabulary.context_tokens - len(prompt))
        self.add_tokens(task_id, prompt, sampler_for(task.sampler, task.seed), room)

    def add_tokens(self, task_id: int, prompt: list[int], sampler: DrawTokens, max_tokens: int) -> None:
        """Lets a prompt of token ids join."""
        (uid,) = self._generator.insert([prompt], [max_tokens], samplers=[sampler])
        self._running[uid] = _Sequence(task_id=task_id, prompt_tokens=len(prompt))

    def remove(self, task_id: int) -> None:
        """Drops a task's sequence, where it is still running."""
        uids = [uid for uid, sequence in self._running.items() if sequence.task_id == task_id]
        if uids:
            self._generator.remove(uids)
        for uid in uids:
            del self._running[uid]

    def step(self) -> list[tuple[int, Generated]]:
        """Writes one token of every running sequence, or reads some prompts; the completions that ended by it."""
        responses = self._generator.next()[1]
        if not responses:
            return []
        picked = mx.stack([response.logprobs[response.token] for response in responses])
        finished: list[tuple[int, Generated]] = []
        for response, logprob in zip(responses, cast("list[float]", picked.tolist()), strict=True):
            sequence = self._running[response.uid]
            sequence.logprob += logprob
            sequence.tokens.append(response.token)
            self.written += 1
            if response.finish_reason is not None:
                del self._running[response.uid]
                finished.append((sequence.task_id, self._generated(sequence, stopped=response.finish_reason == "stop")))
        return finished

    def close(self) -> None:
        """Gives back what the generator holds. Sequences that run are lost."""
        self._generator.close()

    def _generated(self, sequence: _Sequence, *, stopped: bool) -> Generated:
        text, reasoning = self._vocabulary.answer(sequence.tokens[:-1] if stopped else sequence.tokens)
        return Generated(
            text=text,
            reasoning=reasoning,
            finish_reason="stop" if stopped else "length",
            prompt_tokens=sequence.prompt_tokens,
            completion_tokens=len(sequence.tokens),
            logprob=sequence.logprob,
        )


def check(sampler: Sampler) -> None:
    """Raises BadTask for a sampler that cannot draw."""
    if sampler.temperature < 0 or not 0 < sampler.top_p <= 1 or sampler.max_tokens < 1:
        message = f"{sampler} cannot draw: temperature is at least 0, top_p in (0, 1], max_tokens at least 1"
        raise BadTask(message)


def greedy(logprobs: mx.array) -> mx.array:
    """The most probable token of every row; one function for all rows, so mlx_lm calls it once a step."""
    return mx.argmax(logprobs, axis=-1)


def sampler_for(sampler: Sampler, seed: int) -> DrawTokens:
    """Draws with keys from the seed and the position alone. top_p cuts before the temperature, as in mlx_lm."""
    if sampler.temperature == 0:
        return greedy
    positions = itertools.count()

    def draw(logprobs: mx.array) -> mx.array:
        if sampler.top_p < 1:
            logprobs = apply_top_p(logprobs, sampler.top_p)
        return mx.random.categorical(logprobs * (1 / sampler.temperature), key=_key(seed, next(positions)))

    return draw


def _key(seed: int, position: int) -> mx.array:
    """A 64-bit key of MLX's counter-based generator, hashed here so that no chain of splits runs on the device."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return mx.array([int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big")], dtype=mx.uint32)
