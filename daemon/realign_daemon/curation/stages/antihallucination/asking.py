"""Asking: questions put to the target several times, each answer judged, so that what it knows shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from math import exp

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.judgement import Rating
from realign_daemon.curation.material import Prompt
from realign_daemon.curation.metrics.answering import Outcome
from realign_daemon.curation.pairs import normalise
from realign_daemon.curation.stages.antihallucination.probe import Answer, Probe, Question
from realign_daemon.curation.stages.verdicts import verdicts
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Generated, Sha256
from realign_daemon.work.units import seed_for

Worth = tuple[Outcome, tuple[Rating, ...]]  # with what the judges said, where they were asked

# Log-probabilities differ by some 5e-5 with what else is in the batch (measured with the pocket model on a CPU,
# 2026-11-23): rounded, hardly one in ten ends up elsewhere, and then next door.
PROBABILITY_PLACES = 3
SAMPLES = 8  # a question known half of the time is then called unknown once in 256 times


async def ask(desk: Desk, questions: Sequence[Question], *, adapter: Sha256 | None) -> list[Probe]:
    """Every question asked `samples` times at temperature 1, where samples are as frequent as they are probable."""
    return await _ask(
        desk, questions, samples=int(desk.spec.setting("samples", SAMPLES)), greedy=False, adapter=adapter
    )


async def ask_once(desk: Desk, questions: Sequence[Question], *, adapter: Sha256 | None) -> list[Probe]:
    """Every question asked once, greedily: how the model behaves in use."""
    return await _ask(desk, questions, samples=1, greedy=True, adapter=adapter)


async def _ask(
    desk: Desk, questions: Sequence[Question], *, samples: int, greedy: bool, adapter: Sha256 | None
) -> list[Probe]:
    tasks = [
        _task(desk, question.prompt, number, greedy=greedy, adapter=adapter)
        for question in questions
        for number in range(samples)
    ]
    desk.say(f"asking {len(questions)} questions, {samples} times each")
    results = await desk.generate("target", tasks)
    asked = [question.prompt for question in questions for _ in range(samples)]
    judged = iter(await _judged(desk, list(zip(asked, tasks, results, strict=True))))
    return [
        Probe(
            question=question,
            answers=tuple(answer for answer in islice(judged, samples) if answer is not None),
            asked=samples,
        )
        for question in questions
    ]


def _task(desk: Desk, prompt: Prompt, number: int, *, greedy: bool, adapter: Sha256 | None) -> Generate:
    template = load(desk.pin("target").templates).template("short_answer")
    return Generate(
        model=desk.pin("target").model,
        adapter=adapter,
        messages=template.render(question=prompt.question),
        sampler=replace(
            template.sampler,
            temperature=0.0 if greedy else 1.0,
            top_p=1.0,
            max_tokens=int(desk.spec.setting("max_tokens", template.sampler.max_tokens)),
        ),
        seed=0 if greedy else seed_for(desk.spec.seed, prompt.id, number),
        template=template.id,
        thinking=desk.spec.thinking_of("target"),
        schema=template.schema,
    )


async def _judged(desk: Desk, given: Sequence[tuple[Prompt, Generate, Generated | None]]) -> list[Answer | None]:
    """Each result with what it is worth; None for one that is empty, cut off, or was given up on or by the judge."""
    template = load(desk.pin("target").templates).template("short_answer")
    replies = [
        (
            prompt,
            "" if result is None or result.finish_reason == "length" else template.text_of(result.text, "response"),
        )
        for prompt, _, result in given
    ]
    outcomes = await _outcomes(desk, [(prompt, text) for prompt, text in replies if text])
    probabilities: dict[tuple[str, str], float] = {}
    for (prompt, text), (_, _, result) in zip(replies, given, strict=True):
        if result is not None:
            probabilities.setdefault((prompt.id, text), _probability(result))
    return [
        Answer(
            text=text,
            outcome=outcomes[prompt.id, text][0],
            probability=probabilities[prompt.id, text],
            task=task,
            judgements=outcomes[prompt.id, text][1],
        )
        if result is not None and (prompt.id, text) in outcomes
        else None
        for (prompt, text), (_, task, result) in zip(replies, given, strict=True)
    ]


def _probability(result: Generated) -> float:
    """The geometric mean of the tokens' probabilities: an answer is not doubtful for being long.

    See Murray and Chiang, arXiv 1808.10006, and Malinin and Gales, arXiv 2002.07650. Reasoning counts, where there is
    some.
    """
    return round(exp(min(result.logprob, 0.0) / max(result.completion_tokens, 1)), PROBABILITY_PLACES)


async def _outcomes(desk: Desk, replies: Sequence[tuple[Prompt, str]]) -> dict[tuple[str, str], Worth]:
    """What each text is worth, by prompt id and text; those that the judge gave up on are missing.

    A text that is literally the gold answer is right. Where there is one, a judge that is not shown it has no say.
    """
    refusal = load(desk.pin("target").templates).refusal
    verdict = load(desk.pin("judge").templates).template("verdict")
    sees_gold = any("{gold}" in message.content for message in verdict.messages)
    outcomes: dict[tuple[str, str], Worth] = {}
    doubtful: dict[tuple[str, str], tuple[Prompt, str]] = {}
    for prompt, text in replies:
        if refusal.is_refusal(text):
            outcomes[prompt.id, text] = "abstained", ()
        elif prompt.gold and (_is_gold(desk, prompt, text) or not sees_gold):
            outcomes[prompt.id, text] = "right" if _is_gold(desk, prompt, text) else "wrong", ()
        else:
            doubtful[prompt.id, text] = (prompt, text)
    desk.say(f"judging {len(doubtful)} answers")
    for key, judged in zip(doubtful, await verdicts(desk, list(doubtful.values())), strict=True):
        if judged.is_right is not None:
            outcomes[key] = "right" if judged.is_right else "wrong", judged.judgements
    return outcomes


def _is_gold(desk: Desk, prompt: Prompt, text: str) -> bool:
    everyday = load(desk.pin("target").templates).solving.everyday(text)
    return normalise(prompt.gold) in {normalise(text), normalise(everyday)}
