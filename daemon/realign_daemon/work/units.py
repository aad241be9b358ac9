"""Unit: one engine task under the hash of everything its result depends on.

Equal keys mean equal work, whatever the job, the node or the day: a result is stored once under its key, and resuming
is skipping the keys that have results.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NewType, assert_never

from realign_daemon.engine.api import Fill, Fuse, Generate, Message, Render, Score, Sha256, Task, Train
from realign_daemon.engine.codec import encode

UnitKey = NewType("UnitKey", str)

CHARACTERS_PER_TOKEN = 4.0  # English text under byte-pair tokenizers; only ever used to weigh units against each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A task with its key, its canonical bytes, the blobs it reads and its estimated cost in tokens."""

    key: UnitKey
    task: Task
    payload: bytes
    blobs: tuple[Sha256, ...]
    cost: float


def make_unit(task: Task) -> Unit:
    """The unit of a task. Its key is the SHA-256 of the task's canonical bytes."""
    payload = encode(task)
    return Unit(
        key=UnitKey(hashlib.sha256(payload).hexdigest()),
        task=task,
        payload=payload,
        blobs=_blobs(task),
        cost=_cost(task),
    )


def seed_for(job_seed: int, subject: str, sample: int) -> int:
    """A seed in 0..2^31-1 from the job's seed, what is asked, and which sample it is; never from an order."""
    digest = hashlib.sha256(f"{job_seed}\0{subject}\0{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def _blobs(task: Task) -> tuple[Sha256, ...]:
    own = (task.dataset,) if isinstance(task, Train) else ()
    return own if task.adapter is None else (task.adapter, *own)


def _cost(task: Task) -> float:
    match task:
        case Generate():
            return _tokens(task.messages) + task.sampler.max_tokens
        case Fill():
            return _tokens(task.messages) + sum(len(slot.before) / CHARACTERS_PER_TOKEN + 1 for slot in task.form)
        case Score():
            return _tokens(task.messages) + len(task.completion) / CHARACTERS_PER_TOKEN
        case Render() | Fuse():
            return 1.0
        case Train():
            return float(task.settings.steps * task.settings.batch_size * task.settings.max_tokens)
        case _:
            assert_never(task)


def _tokens(messages: tuple[Message, ...]) -> float:
    return sum(len(message.content) for message in messages) / CHARACTERS_PER_TOKEN + 1.0
