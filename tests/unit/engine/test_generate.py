"""Generation and scoring on real arithmetic: what a task gives depends on the task alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, cast

import mlx.core as mx
import pytest
from mlx_lm.generate import stream_generate  # pyright: ignore[reportUnknownVariableType]

from realign_daemon.engine.api import Generate, Generated, Message, ModelId, Sampler, Score
from realign_daemon.engine.child import generate, sampling
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import FullPrecisionLogits, Loaded
from realign_daemon.engine.child.score import score, text_of
from realign_daemon.engine.errors import BadTask

MODEL = ModelId("m")
ROUNDING = 0.01
SCHEMA = '{"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 9}}'
WARM = Sampler(temperature=0.9, top_p=0.95, max_tokens=12)


def asked(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def task(number: int, sampler: Sampler = WARM) -> Generate:
    return Generate(model=MODEL, messages=asked("q" * (1 + number % 7)), sampler=sampler, seed=number, template="t")


def written(loaded: Loaded, tasks: list[Generate], batch_size: int = 8) -> dict[int, Generated]:
    sequences = Sequences(loaded, batch_size)
    for number, one in enumerate(tasks):
        sequences.add(number, one)
    finished: dict[int, Generated] = {}
    while sequences:
        finished.update(sequences.step())
    sequences.close()
    return finished


def test_a_sample_is_the_same_alone_and_in_any_batch(loaded: Loaded) -> None:
    tasks = [task(number) for number in range(12)]
    together = written(loaded, tasks, batch_size=12)
    narrow = written(loaded, list(reversed(tasks)), batch_size=3)
    for number, one in enumerate(tasks):
        alone = written(loaded, [one])[0]
        for other in (together[number], narrow[11 - number]):
            assert (other.text, other.finish_reason) == (alone.text, alone.finish_reason)
            assert other.logprob == pytest.approx(alone.logprob, abs=1e-3)
    assert len({result.text for result in together.values()}) > 6  # the seeds differ, so the samples do


class Coarse:
    """A model whose logits are rounded in another way for every number of rows, far more coarsely than any real one."""

    def __init__(self, loaded: Loaded) -> None:
        self._model = loaded.model

    def __call__(self, *arguments: Any, **options: Any) -> mx.array:
        logits = self._model(*arguments, **options)
        rows = logits.shape[0]
        return logits if rows == 1 else logits + ROUNDING * mx.sin(1000 * logits + rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.mark.parametrize("settles", [True, False])
@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_rounding_turns_no_choice_where_close_ones_are_made_again(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, top_p: float, *, settles: bool
) -> None:
    monkeypatch.setattr(sampling, "MARGIN", 3 * ROUNDING)
    monkeypatch.setattr(sampling, "EDGE_FRACTION", 3 * ROUNDING)
    monkeypatch.setattr(generate, "on_cpu", lambda: settles)
    coarse = replace(loaded, model=cast("FullPrecisionLogits", Coarse(loaded)))
    sampler = Sampler(temperature=0.8, top_p=top_p, max_tokens=30)
    tasks = [
        replace(
            task(number, replace(sampler, temperature=0.8 * (number % 4 > 0))), schema=SCHEMA if number % 3 else None
        )
        for number in range(40)
    ]
    together, narrow = written(coarse, tasks, batch_size=40), written(coarse, tasks[::-1], batch_size=3)
    same = [_without_logprob(together[number]) == _without_logprob(narrow[39 - number]) for number in range(40)]
    assert all(same) == settles
    if settles:
        alone = [written(loaded, [one])[0] for one in tasks[:10]]
        assert [*map(_without_logprob, alone)] == [_without_logprob(together[number]) for number in range(10)]


def _without_logprob(result: Generated) -> Generated:
    return replace(result, logprob=0.0)


def test_a_task_that_joins_a_running_batch_gets_the_same(loaded: Loaded) -> None:
    late = task(40)
    sequences = Sequences(loaded, 4)
    sequences.add(1, task(1))
    for _ in range(4):
        sequences.step()
    sequences.add(2, late)
    finished: dict[int, Generated] = {}
    while sequences:
        finished.update(sequences.step())
    sequences.close()
    assert finished[2].text == written(loaded, [late])[0].text


def test_a_removed_task_leaves_the_others_alone(loaded: Loaded) -> None:
    sequences = Sequences(loaded, 4)
    for number in range(3):
        sequences.add(number, task(number))
    sequences.step()
    sequences.remove(1)
    finished: dict[int, Generated] = {}
    while sequences:
        finished.update(sequences.step())
    sequences.close()
    assert {number: result.text for number, result in finished.items()} == {
        number: written(loaded, [task(number)])[0].text for number in (0, 2)
    }


def test_greedy_writes_what_mlx_lm_writes(loaded: Loaded) -> None:
    greedy = Sampler(temperature=0, max_tokens=20)
    results = written(loaded, [task(number, greedy) for number in range(5)])
    tokenizer = loaded.vocabulary.tokenizer
    for number in range(5):
        prompt = loaded.vocabulary.prompt(task(number).messages, thinking=False)
        tokens = [
            step.token
            for step in stream_generate(loaded.network, tokenizer, prompt, max_tokens=20)
            if step.token not in loaded.vocabulary.end_tokens
        ]
        assert results[number].text == tokenizer.decode(tokens, skip_special_tokens=True)


def test_the_log_probability_is_the_models_own_whatever_the_sampler(loaded: Loaded) -> None:
    """Scoring what was written gives the same figure; both are of temperature 1, the end of sequence included."""
    results = written(loaded, [task(number, Sampler(temperature=1.0, max_tokens=200)) for number in range(60)], 60)
    checked = 0
    for number, result in results.items():
        if result.finish_reason == "stop" and len(result.text) == result.completion_tokens - 1:
            text = text_of(
                Score(model=MODEL, messages=task(number).messages, completion=result.text), loaded.vocabulary
            )
            (scored,) = score(loaded.model, [text])
            assert scored.tokens == result.completion_tokens
            assert scored.logprob == pytest.approx(result.logprob, abs=1e-3)
            checked += 1
    assert checked >= 5


def test_scores_of_a_ragged_batch_equal_a_direct_log_softmax(loaded: Loaded) -> None:
    chance = random.Random(1)
    texts = [
        text_of(
            Score(model=MODEL, messages=asked("a" * chance.randint(1, 20)), completion="b" * chance.randint(0, 15)),
            loaded.vocabulary,
        )
        for _ in range(9)
    ]
    for text, scored in zip(texts, score(loaded.model, texts), strict=True):
        tokens = [*text.prompt, *text.completion]
        logits = loaded.network(mx.array([tokens[:-1]]))[0]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        wanted = sum(logprobs[place - 1, tokens[place]].item() for place in range(len(text.prompt), len(tokens)))
        assert scored.logprob == pytest.approx(wanted, abs=1e-4)
        assert scored.tokens == len(text.completion)


def test_a_completion_can_be_scored_without_a_question(loaded: Loaded) -> None:
    text = text_of(Score(model=MODEL, messages=(), completion="abc"), loaded.vocabulary)
    (scored,) = score(loaded.model, [text])
    assert scored.tokens == 4
    assert scored.logprob < 0


def test_an_answer_ends_where_the_context_ends(loaded: Loaded) -> None:
    long = Generate(
        model=MODEL, messages=asked("x" * 2040), sampler=Sampler(temperature=0, max_tokens=500), seed=0, template="t"
    )
    result = written(loaded, [long])[0]
    assert result.prompt_tokens + result.completion_tokens <= 2048


@pytest.mark.parametrize(
    "bad",
    [
        Generate(model=MODEL, messages=asked("x" * 2048), sampler=WARM, seed=0, template="t"),
        Generate(model=MODEL, messages=asked("x"), sampler=Sampler(temperature=-1), seed=0, template="t"),
        Generate(model=MODEL, messages=asked("x"), sampler=Sampler(top_p=0), seed=0, template="t"),
        Generate(model=MODEL, messages=asked("x"), sampler=Sampler(max_tokens=0), seed=0, template="t"),
    ],
)
def test_a_task_that_can_never_work_is_refused(loaded: Loaded, bad: Generate) -> None:
    sequences = Sequences(loaded, 2)
    with pytest.raises(BadTask):
        sequences.add(1, bad)
    sequences.close()
