"""Sequences: completions that are being written together; each may join and leave while the others go on."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import mlx.core as mx
from mlx_lm.generate import BatchGenerator

from realign_daemon.engine.api import Generate, Generated, Sampler, Thinking
from realign_daemon.engine.child.forward import Rows, prefill_step_tokens
from realign_daemon.engine.child.grammar import Constraint, Grammars
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.sampling import Choice, Chooser, check, doubtful
from realign_daemon.engine.child.shard import on_cpu

# Prompts, so that each gets on by as many tokens at once as alone with 64 of them, see load.FullPrecisionLogits.
_READ_TOGETHER_IN_GROUP = 8


@dataclass(slots=True, kw_only=True)
class _Sequence:
    task_id: int
    prompt: list[int]
    chooser: Chooser
    max_tokens: int
    thinking: Thinking = "off"
    tokens: list[int] = field(default_factory=list[int])
    logprob: float = 0.0


class Sequences:
    """The running batch. What a sequence becomes depends on its task only, never on its neighbours.

    A product over 8 rows may differ from one over 1 in the last digit, which can turn a choice that lies on an edge. On
    the CPU, which computes in float32, such choices are made again from a pass over the sequence alone. On a GPU in 16
    bits the rounding is too coarse for that: there the same batches give the same.
    """

    def __init__(self, loaded: Loaded, max_batch_size: int, *, ends: bool = True) -> None:
        """At most `max_batch_size` sequences decode at once; the others wait their turn inside.

        With `ends` false no token ends a sequence before its last.
        """
        self._model, self._vocabulary = loaded.model, loaded.vocabulary
        self._grammars = Grammars(loaded.vocabulary, loaded.vocabulary_size)
        self._end_tokens = frozenset(loaded.vocabulary.end_tokens) if ends else frozenset[int]()
        self._settles = on_cpu()
        self.written = 0  # tokens, all sequences together
        self.settled = 0  # of them, how many were chosen again
        self._running: dict[int, _Sequence] = {}
        read_together = max_batch_size if loaded.peers.is_alone else min(max_batch_size, _READ_TOGETHER_IN_GROUP)
        self._generator = BatchGenerator(
            cast("Any", self._model),
            stream=loaded.peers.stream,
            stop_tokens=[[token] for token in self._end_tokens],
            completion_batch_size=max_batch_size,
            # Prompts are read as many at a time as are written: with 8, mlx_lm's choice, 64 short answers of the
            # pocket model took twice as long (0.31 against 0.13 s, measured 2026-11-23).
            prefill_batch_size=read_together,
            prefill_step_size=prefill_step_tokens(self._model, read_together),
        )

    def __len__(self) -> int:
        """How many sequences are not finished."""
        return len(self._running)

    def add(self, task_id: int, task: Generate) -> None:
        """Lets a task join. Its tokens end where the model's context does. Raises BadTask."""
        check(task.sampler)
        thinks = task.thinking != "off"
        prompt = self._vocabulary.prompt(task.messages, thinking=thinks)
        room = min(task.sampler.max_tokens, self._vocabulary.context_tokens - len(prompt))
        constraint = None
        if task.schema is not None:
            opened = self._vocabulary.is_reasoning(prompt)
            grammar = self._grammars.grammar(task.schema)
            constraint = Constraint(self._grammars, grammar, max_tokens=room, thinks=thinks, opened=opened)
        chooser = Chooser(task.sampler, task.seed, constraint)
        self._insert(
            _Sequence(task_id=task_id, prompt=prompt, chooser=chooser, max_tokens=room, thinking=task.thinking)
        )

    def add_tokens(self, task_id: int, prompt: list[int], sampler: Sampler, seed: int) -> None:
        """Lets a prompt of token ids join."""
        self._insert(
            _Sequence(task_id=task_id, prompt=prompt, chooser=Chooser(sampler, seed), max_tokens=sampler.max_tokens)
        )

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
        sequences = [self._running[response.uid] for response in responses]
        choices = [
            sequence.chooser.choices.popleft()
            if sequence.chooser.choices
            else sequence.chooser.choice(response.logprobs[None], len(sequence.tokens), None)
            for sequence, response in zip(sequences, responses, strict=True)
        ]
        picked = mx.stack([response.logprobs[response.token] for response in responses])
        doubts = self._doubts(sequences, choices)
        finished: list[tuple[int, Generated]] = []
        for place, logprob in enumerate(cast("list[float]", picked.tolist())):
            sequence, response = sequences[place], responses[place]
            token = self._again(sequence, choices[place]) if doubts[place] else int(response.token)
            sequence.tokens.append(token)
            sequence.logprob += logprob if token == response.token else cast("float", response.logprobs[token].item())
            self.written += 1
            is_over = token in self._end_tokens or len(sequence.tokens) == sequence.max_tokens
            if token != response.token:
                self._redirect(response.uid, sequence, is_over=is_over, was_over=response.finish_reason is not None)
            elif is_over:
                del self._running[response.uid]
            if is_over:
                finished.append((sequence.task_id, self._generated(sequence)))
        return finished

    def close(self) -> None:
        """Gives back what the generator holds. Sequences that run are lost."""
        self._generator.close()

    def _insert(self, sequence: _Sequence) -> None:
        # One function for all greedy sequences: mlx_lm calls it once for the batch.
        is_greedy = sequence.chooser.sampler.temperature == 0 and sequence.chooser.constraint is None
        (uid,) = self._generator.insert(
            [sequence.prompt + sequence.tokens],
            [sequence.max_tokens - len(sequence.tokens)],
            samplers=[_greedy if is_greedy else sequence.chooser],
        )
        self._running[uid] = sequence

    def _doubts(self, sequences: Sequence[_Sequence], choices: Sequence[Choice]) -> list[bool]:
        if not self._settles:
            return [False] * len(choices)
        return cast("list[bool]", doubtful(choices, [one.chooser.sampler for one in sequences]).tolist())

    def _again(self, sequence: _Sequence, choice: Choice) -> int:
        """The token that the choice gives when nothing else is in the batch and nothing is remembered."""
        self.settled += 1
        logits = Rows(self._model, 1).next_logits([sequence.prompt + sequence.tokens])
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        settled = sequence.chooser.choice(logprobs, len(sequence.tokens), choice.allowed)
        return int(cast("int", mx.argmax(settled.scores, axis=-1).item()))

    def _redirect(self, uid: int, sequence: _Sequence, *, is_over: bool, was_over: bool) -> None:
        """Lets a sequence go on after another last token than the generator knows."""
        if not was_over:
            self._generator.remove([uid])
        del self._running[uid]
        sequence.chooser = sequence.chooser.after(sequence.tokens)
        if not is_over:
            self._insert(sequence)

    def _generated(self, sequence: _Sequence) -> Generated:
        has_ended = sequence.tokens[-1] in self._end_tokens
        tokens = sequence.tokens[:-1] if has_ended else sequence.tokens
        opened = self._vocabulary.is_reasoning(sequence.prompt)
        constraint = sequence.chooser.constraint
        if constraint is None:
            text, reasoning = self._vocabulary.answer(tokens, thinking=sequence.thinking, opened=opened)
        else:
            before, text = constraint.split()
            reasoning = self._vocabulary.answer(before, thinking="strip", opened=opened)[1]
            has_ended = not constraint.is_cut
        return Generated(
            text=text,
            reasoning=reasoning,
            finish_reason="stop" if has_ended else "length",
            prompt_tokens=len(sequence.prompt),
            completion_tokens=len(sequence.tokens),
            logprob=sequence.logprob,
        )


def _greedy(logprobs: mx.array) -> mx.array:
    """The most probable token of every row."""
    return mx.argmax(logprobs, axis=-1)
