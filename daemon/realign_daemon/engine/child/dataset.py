"""Dataset: the rows of a training run in tokens, and the order in which they come."""

from __future__ import annotations

import hashlib
import json
import math
import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from realign_daemon.engine.api import Message, Train
from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.errors import BadTask

_T = TypeVar("_T")
# One pass through the model computes at most so many logits (2**26 float32 are 256 MB, and a gradient holds several
# copies) and so many tokens (activations).
MAX_LOGITS = 2**26
MAX_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation. Only the completion, which ends with the end-of-sequence token, is learned."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt with a better and a worse answer."""

    chosen: Row
    rejected: Row


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled answer, how much better it did than the other samples of its prompt, and the name of these all."""

    row: Row
    advantage: float
    group: str


Example = Row | Pair | Rollout
_E = TypeVar("_E", Row, Pair, Rollout, Example)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Rows ("sft"), pairs ("dpo") or rollouts ("grpo") to learn and to check on, and rows to keep in mind."""

    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    replay: tuple[Row, ...]


def read_dataset(path: Path, task: Train, vocabulary: Vocabulary) -> Dataset:
    """The data set in a file of JSON lines.

    Rollouts to learn from whose advantage is 0 are left out: they have no gradient (the dynamic sampling of DAPO, arXiv
    2503.14476).

    Raises:
        BadTask: a line is no row of this method, or one is longer than the settings or the model allow; it is named
            by its number, never quoted.
    """
    splits: dict[str, list[Any]] = {"train": [], "valid": [], "replay": []}
    limit = min(task.settings.max_tokens, vocabulary.context_tokens)
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            plain = json.loads(line)
            example = _example(plain, task.method, vocabulary)
            split = splits[plain["split"]]
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            message = f"line {number} of data set {task.dataset} is no {task.method} row ({reason})"
            raise BadTask(message) from error
        longest = max(len(row.prompt) + len(row.completion) for row in rows_of(example))
        if longest > limit:
            message = (
                f"line {number} of data set {task.dataset} has {longest} tokens and {limit} are allowed: leave it out"
            )
            raise BadTask(message)
        if not (isinstance(example, Rollout) and example.advantage == 0 and split is splits["train"]):
            split.append(example)
    if not splits["train"]:
        message = f"data set {task.dataset} has no row of split train to learn from"
        raise BadTask(message)
    return Dataset(train=tuple(splits["train"]), valid=tuple(splits["valid"]), replay=tuple(splits["replay"]))


def rows_of(example: Example) -> tuple[Row, ...]:
    """The sequences of an example: one, or chosen and rejected."""
    match example:
        case Row():
            return (example,)
        case Pair():
            return (example.chosen, example.rejected)
        case Rollout():
            return (example.row,)


def target_tokens(examples: Iterable[Example]) -> int:
    """How many tokens are learned from these examples, ends of sequence included."""
    return sum(len(row.completion) for example in examples for row in rows_of(example))


def fingerprint(data: Dataset) -> bytes:
    """A hash of all tokens in order. Advantages are the file's, whose hash is in the task."""
    digest = hashlib.sha256()
    for examples in (data.train, data.valid, data.replay):
        digest.update(b"split %d" % len(examples))
        for example in examples:
            for row in rows_of(example):
                digest.update(b"%d %d" % (len(row.prompt), len(row.completion)))
                digest.update(array("q", row.prompt + row.completion))
    return digest.digest()


def passes(examples: Sequence[_E], vocabulary_size: int) -> Iterator[Sequence[_E]]:
    """The examples in order, cut into passes that fit the memory; at least one example each."""
    start, rows, longest = 0, 0, 0
    for index, example in enumerate(examples):
        own = rows_of(example)
        rows += len(own)
        longest = max(longest, *(len(row.prompt) + len(row.completion) for row in own))
        if index > start and rows * longest > min(MAX_TOKENS, MAX_LOGITS // vocabulary_size):
            yield examples[start:index]
            start, rows = index, len(own)
            longest = max(len(row.prompt) + len(row.completion) for row in own)
    if examples:
        yield examples[start:]


def batches(dataset: Dataset, *, batch_size: int, seed: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Endless batches of indices into train and into replay.

    Every batch has replay rows in their share of all data, at least one where there are any, at most all but one.
    Each of the two is gone through in a new seeded order every time round, so no row comes twice before all came once.
    """
    total = len(dataset.train) + len(dataset.replay)
    replayed = 0
    if dataset.replay and batch_size > 1:
        replayed = min(max(1, round(batch_size * len(dataset.replay) / total)), batch_size - 1)
    fresh = _endless(range(len(dataset.train)), random.Random(f"{seed}:train"))
    again = _endless(range(len(dataset.replay)), random.Random(f"{seed}:replay"))
    while True:
        yield (
            tuple(next(fresh) for _ in range(min(batch_size - replayed, len(dataset.train)))),
            tuple(next(again) for _ in range(replayed)),
        )


def _endless(items: Sequence[_T], chance: random.Random) -> Iterator[_T]:
    while True:
        order = list(items)
        chance.shuffle(order)
        yield from order


def _example(plain: dict[str, Any], method: str, vocabulary: Vocabulary) -> Example:
    if method == "sft" or plain["split"] == "replay":
        messages = _messages(plain["messages"])
        if not messages or messages[-1].role != "assistant":
            message = "the last message is not the assistant's"
            raise ValueError(message)
        return Row(_prompt(messages[:-1], vocabulary), tuple(vocabulary.completion(messages[-1].content)))
    prompt = _prompt(_messages(plain["prompt"]), vocabulary)
    answers = ("chosen", "rejected") if method == "dpo" else ("completion",)
    rows = [Row(prompt, tuple(vocabulary.completion(cast("str", plain[key])))) for key in answers]
    if method == "dpo":
        return Pair(*rows)
    advantage = float(plain["advantage"])
    if not math.isfinite(advantage):
        message = f"the advantage is {advantage}"
        raise ValueError(message)
    return Rollout(rows[0], advantage, str(plain["group"]))


def _prompt(messages: Sequence[Message], vocabulary: Vocabulary) -> tuple[int, ...]:
    return tuple(vocabulary.prompt(messages, thinking=False))


def _messages(plain: list[dict[str, Any]]) -> list[Message]:
    return [Message(role=turn["role"], content=turn["content"]) for turn in plain]
