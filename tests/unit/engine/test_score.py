"""Scores and training losses by hand: tokens spelled out here, log-probabilities by numpy in double precision."""

# pyright: reportUnknownArgumentType=false
# An mlx array as a numpy array has no type.

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from realign_daemon.engine.api import Message, ModelId, Score, Sha256, Train, TrainSettings
from realign_daemon.engine.child.dataset import passes, read_dataset, target_tokens
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.objective import Sft
from realign_daemon.engine.child.score import score, text_of

USER, ASSISTANT, END = [97], [98], [99]
QUESTION, ANSWER = "why so", "since 7"


def spelled(text: str) -> list[int]:
    """The tiny model has a token for each printable character, the space after all others."""
    return [94 if letter == " " else ord(letter) - 33 for letter in text]


def by_hand(loaded: Loaded, prompt: list[int], completion: list[int]) -> float:
    tokens = [*prompt, *completion]
    logits = np.array(loaded.network(mx.array([tokens[:-1]]))[0], dtype=np.float64)
    logits -= logits.max(-1, keepdims=True)
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return float(sum(logprobs[place - 1, tokens[place]] for place in range(len(prompt), len(tokens))))


def test_scores_with_and_without_the_question_equal_numpy(loaded: Loaded) -> None:
    """The two figures of which the difficulty of following an instruction (IFD) is the ratio."""
    asked = Score(model=ModelId("m"), messages=(Message(role="user", content=QUESTION),), completion=ANSWER)
    alone = Score(model=ModelId("m"), messages=(), completion=ANSWER)
    completion = [*spelled(ANSWER), *END]
    given, bare = score(loaded.model, [text_of(task, loaded.vocabulary) for task in (asked, alone)])
    wanted = by_hand(loaded, [*USER, *spelled(QUESTION), *END, *ASSISTANT], completion)
    unasked = by_hand(loaded, END, completion)  # a template takes no empty conversation: after what parts documents
    assert (given.tokens, bare.tokens) == (8, 8)
    assert given.logprob == pytest.approx(wanted, abs=1e-4)
    assert bare.logprob == pytest.approx(unasked, abs=1e-4)
    ifd = (given.logprob / given.tokens) / (bare.logprob / bare.tokens)
    assert ifd == pytest.approx(wanted / unasked, abs=1e-5)


def test_the_sft_loss_of_conversations_counts_the_last_answer_only(loaded: Loaded, tmp_path: Path) -> None:
    conversations = [[QUESTION, ANSWER], ["a", "not learned", "b c", "7"], ["long " * 9, "x"]]
    rows = [
        {
            "split": "train",
            "messages": [
                {"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)
            ],
        }
        for turns in conversations
    ]
    (tmp_path / "rows").write_text("\n".join(map(json.dumps, rows)))
    task = Train(model=ModelId("m"), method="sft", dataset=Sha256("d"), settings=TrainSettings(), seed=0)
    data = read_dataset(tmp_path / "rows", task, loaded.vocabulary)
    total, tokens = 0.0, 0
    for turns in conversations:
        prompt = [
            token for place, text in enumerate(turns[:-1]) for token in [97 + place % 2, *spelled(text), *END]
        ] + ASSISTANT
        total += by_hand(loaded, prompt, [*spelled(turns[-1]), *END])
        tokens += len(turns[-1]) + 1
    assert target_tokens(data.train) == tokens
    sft = Sft(loaded.network, data, loaded.vocabulary_size, lambda: None)
    parts = list(passes(data.train, 2**20))
    assert len(parts) > 1
    loss = sum(sft.part_loss(part, batch_examples=3, batch_tokens=tokens).item() for part in parts)
    assert loss == pytest.approx(-total / tokens, abs=1e-5)
