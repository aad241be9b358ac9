"""Lesson: a row that is being judged: an instruction, an answer, and what is known of the two so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.judgement import Rating
from realign_daemon.curation.material import Prompt, Response, Row
from realign_daemon.curation.metrics.learning import instruction_following_difficulty
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.stages.judging import rated_by
from realign_daemon.curation.stages.sft.conversation import turns
from realign_daemon.curation.templates import Template, load
from realign_daemon.engine.api import Message, Score, Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A row with the prompt that it came from; its words are those of the row, without personal data."""

    prompt: Prompt
    row: Row
    quality: float | None = None  # 1..10
    groundedness: float | None = None  # 1..5
    difficulty: float | None = None  # IFD
    judgements: tuple[Rating, ...] = ()

    @property
    def opening(self) -> tuple[Message, ...]:
        """The turns before the answer."""
        return turns(self.row.fields)[:-1]

    @property
    def answer(self) -> str:
        """What is to be learned."""
        return turns(self.row.fields)[-1].content


async def judged(desk: Desk, lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons with their quality and groundedness by the rubric; without where a judgement was given up.

    Both are expected values over the probabilities of the digits (G-Eval, arXiv 2303.16634), the mean of all judges.
    """
    by_judge = [await _ratings(desk, pin, lessons) for pin in desk.judges]
    found: list[Lesson] = []
    for lesson, *ratings in zip(lessons, *by_judge, strict=True):
        known = tuple(rating for rating in ratings if rating is not None)
        if len(known) < len(ratings):
            found.append(lesson)
        else:
            quality = fmean(one.quality for one in known)
            groundedness = fmean(_groundedness(one) for one in known)
            found.append(replace(lesson, quality=quality, groundedness=groundedness, judgements=known))
    return found


async def _ratings(desk: Desk, pin: ModelPin, lessons: Sequence[Lesson]) -> list[Rating | None]:
    """One judge's word on each lesson."""
    responses = [
        Response(
            prompt=replace(lesson.prompt, question=lesson.opening[-1].content),
            text=lesson.answer,
            task=None,
            is_truncated=False,
        )
        for lesson in lessons
    ]
    return await rated_by(desk, pin, responses, template="rubric")


def _groundedness(judged: Rating) -> float:
    rubric = load(judged.judge.templates).template("rubric")
    return judged.scores[groundedness_slot(rubric)][1]


def groundedness_slot(rubric: Template) -> int:
    """Which slot of a rubric's form asks about groundedness; the last of one that asks about everything at once."""
    named = [place for place, slot in enumerate(rubric.form) if "groundedness" in slot.before]
    return named[0] if named else len(rubric.form) - 1


async def measured(desk: Desk, lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons with their instruction-following difficulty for the target; without where there is none."""
    model = desk.pin("target").model
    tasks = [
        Score(model=model, messages=messages, completion=lesson.answer)
        for lesson in lessons
        for messages in (lesson.opening, ())
    ]
    scored = await desk.score("target", tasks)
    return [
        replace(lesson, difficulty=_difficulty(given, alone))
        for lesson, given, alone in zip(lessons, scored[::2], scored[1::2], strict=True)
    ]


def _difficulty(given: Scored | None, alone: Scored | None) -> float | None:
    if given is None or alone is None or alone.logprob >= 0:
        return None
    return instruction_following_difficulty(
        conditional_logprob=given.logprob,
        conditional_tokens=given.tokens,
        alone_logprob=alone.logprob,
        alone_tokens=alone.tokens,
    )
