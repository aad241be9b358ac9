"""Verdicts: whether answers are right, by the source and, where there is one, a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.judgement import Rating
from realign_daemon.curation.material import Prompt
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill

RIGHT_FROM = 0.5  # of the probability that an answer is right: what is likelier than not


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Whether an answer is right, None where a judgement was given up, and what each judge said of it."""

    is_right: bool | None
    judgements: tuple[Rating, ...] = ()


async def verdicts(desk: Desk, answered: Sequence[tuple[Prompt, str]]) -> list[Judged]:
    """For each prompt and answer whether it is right.

    The prompt's gold is the reference. An empty answer is wrong without asking. Several judges weigh the same.
    """
    asked = [(prompt, text) for prompt, text in answered if text.strip()]
    columns = [await _by_judge(desk, pin, asked) for pin in desk.judges]
    found = (_together([one for one in said if one is not None], of=len(said)) for said in zip(*columns, strict=True))
    return [next(found) if text.strip() else Judged(is_right=False) for _, text in answered]


def _together(said: Sequence[Rating], *, of: int) -> Judged:
    shares = [share for one in said for _, share in one.scores]
    return Judged(is_right=fmean(shares) > RIGHT_FROM if len(said) == of else None, judgements=tuple(said))


async def _by_judge(desk: Desk, pin: ModelPin, answered: Sequence[tuple[Prompt, str]]) -> list[Rating | None]:
    """The probability that each answer is right: that of the form's last choice."""
    template = load(pin.templates).template("verdict")
    tasks = [
        Fill(
            model=pin.model,
            messages=template.render(
                question=prompt.question, response=text, chunk=prompt.chunk.text, gold=prompt.gold
            ),
            form=template.form,
            template=template.id,
        )
        for prompt, text in answered
    ]
    results = await desk.fill_by(pin, tasks)
    return [
        None
        if result is None
        else Rating(
            judge=pin,
            template=task.template,
            made=desk.made(task),
            scores=(("right", result.probabilities[-1][-1]),),
            samples=result.samples,
        )
        for task, result in zip(tasks, results, strict=True)
    ]
