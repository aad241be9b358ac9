"""Verdicts: whether answers are right, by the source and, where there is one, a reference."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Prompt
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill

RIGHT_FROM = 0.5  # of the probability that an answer is right: what is likelier than not


async def verdicts(desk: Desk, answered: Sequence[tuple[Prompt, str]]) -> list[bool | None]:
    """For each prompt and answer whether it is right; None where a judgement was given up.

    The prompt's gold is the reference. An empty answer is wrong without asking. Several judges weigh the same.
    """
    asked = [(prompt, text) for prompt, text in answered if text.strip()]
    columns = [await _right(desk, pin, asked) for pin in desk.judges]
    found = (
        None if None in shares else fmean(share for share in shares if share is not None) > RIGHT_FROM
        for shares in zip(*columns, strict=True)
    )
    return [next(found) if text.strip() else False for _, text in answered]


async def _right(desk: Desk, pin: ModelPin, answered: Sequence[tuple[Prompt, str]]) -> list[float | None]:
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
    return [None if result is None else result.probabilities[-1][-1] for result in results]
