"""Score: how probable the model finds a completion that somebody else wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import mlx.core as mx

from realign_daemon.engine import api
from realign_daemon.engine.child.forward import Rows
from realign_daemon.engine.child.load import FullPrecisionLogits
from realign_daemon.engine.child.shape import Shape, padded, shape
from realign_daemon.engine.child.tokens import Vocabulary
from realign_daemon.engine.errors import BadTask

# Logits computed at once: 2**26 float32 are 256 MB, of which a softmax holds about three copies.
MAX_LOGITS = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A score task in tokens; the completion ends with the end-of-sequence token."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


def text_of(task: api.Score, vocabulary: Vocabulary) -> Text:
    """The task's tokens. Raises BadTask when they are more than the model reads."""
    keeps_reasoning = task.thinking == "keep"
    prompt = tuple(vocabulary.prompt(task.messages, thinking=keeps_reasoning))
    completion = tuple(vocabulary.completion(task.completion))
    if keeps_reasoning and vocabulary.is_reasoning(prompt):  # it has written the mark that the completion begins with
        marks = tuple(vocabulary.tokenizer.think_start_tokens)
        completion = completion[len(marks) :] if completion[: len(marks)] == marks else completion
    if len(prompt) + len(completion) > vocabulary.context_tokens:
        message = (
            f"prompt and completion have {len(prompt) + len(completion)} tokens and the model reads "
            f"{vocabulary.context_tokens}: shorten them"
        )
        raise BadTask(message)
    return Text(prompt=prompt, completion=completion)


def shape_of(text: Text, most_rows: int, vocabulary_size: int) -> Shape:
    """The shape of the pass that scores the text."""
    fitting = MAX_LOGITS // (padded(len(text.completion)) * vocabulary_size)
    return shape(len(text.prompt) - 1, len(text.completion), most_rows=min(most_rows, fitting))


def score(model: FullPrecisionLogits, texts: Sequence[Text]) -> list[api.Scored]:
    """Teacher forcing over all texts in one batch, in order."""
    logprobs, mask = _token_logprobs(model, texts)
    sums = cast("list[float]", mx.where(mask, logprobs, 0.0).sum(axis=-1).tolist())
    return [api.Scored(logprob=logprob, tokens=len(text.completion)) for text, logprob in zip(texts, sums, strict=True)]


def token_logprobs(model: FullPrecisionLogits, texts: Sequence[Text]) -> list[list[float]]:
    """Of every text the log-probability of every completion token."""
    logprobs = cast("list[list[float]]", _token_logprobs(model, texts)[0].tolist())
    return [row[: len(text.completion)] for text, row in zip(texts, logprobs, strict=True)]


def _token_logprobs(model: FullPrecisionLogits, texts: Sequence[Text]) -> tuple[mx.array, mx.array]:
    """[texts, longest completion], and where there is a token."""
    rows = Rows(model, len(texts))
    logits = rows.final_logits([text.prompt for text in texts], [text.completion for text in texts])
    longest = logits.shape[1]
    targets = mx.array([[*text.completion, *[0] * (longest - len(text.completion))] for text in texts])
    lengths = mx.array([len(text.completion) for text in texts])
    logprobs = mx.take_along_axis(logits, targets[..., None], axis=-1).squeeze(-1) - mx.logsumexp(logits, axis=-1)
    return logprobs, mx.arange(longest)[None, :] < lengths[:, None]
