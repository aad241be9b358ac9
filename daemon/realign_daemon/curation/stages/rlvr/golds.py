"""Golds: answers to problems drawn from passages, each with what speaks for it. No model is believed without."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Prompt
from realign_daemon.curation.stages.rlvr import checking
from realign_daemon.curation.stages.rlvr.problem import Grounds
from realign_daemon.curation.templates import load
from realign_daemon.curation.verify.final import final_answer
from realign_daemon.engine.api import Generate
from realign_daemon.work.units import seed_for

# One reading each: the surest, and two that could differ. Three that agree with what was stated make four readings.
READING_TEMPERATURES: Final = (0.0, 0.7, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """An answer; without grounds it is not to be used."""

    answer: str
    grounds: Grounds = ""
    stated_by: Generate | None


async def find(desk: Desk, prompts: Sequence[Prompt]) -> list[Gold]:
    """The answer to each prompt, in order.

    One that was stated with the problem holds when it stands in the passage, or when every further reading of the
    passage comes to the same. Where none was stated, the first reading that stands in the passage is the answer.
    """
    everyday = load(desk.pin("generator").templates).solving.everyday
    golds = [Gold(answer=everyday(final_answer(prompt.gold)), stated_by=prompt.task) for prompt in prompts]
    golds = [_quoted(gold, prompt) for gold, prompt in zip(golds, prompts, strict=True)]
    is_open = [not gold.grounds for gold in golds]
    for number, temperature in enumerate(READING_TEMPERATURES):
        places = [place for place, still in enumerate(is_open) if still]
        if not places:
            break
        desk.say(f"reading {len(places)} passages again for an answer")
        read = await _read_again(desk, [prompts[place] for place in places], number, temperature)
        agreed = await checking.verdicts(
            desk, [(gold.answer, golds[place].answer) for place, gold in zip(places, read, strict=True)]
        )
        for place, gold, verdict in zip(places, read, agreed, strict=True):
            if not prompts[place].gold:
                golds[place] = _quoted(gold, prompts[place])
                is_open[place] = not golds[place].grounds
            elif verdict != "correct":
                is_open[place] = False
            elif number == len(READING_TEMPERATURES) - 1:
                golds[place] = replace(golds[place], grounds="agreed")
    return golds


def stands_in(answer: str, passage: str, question: str) -> bool:
    """Whether the passage says the answer, as whole words, more often than the question does: `12+34` gives no 34 away.

    A comma between thousands does not count.
    """
    wanted = re.compile(rf"(?<![\w.,-]){re.escape(_plain(answer))}(?![\w-]|[.,]\d)")
    return bool(_plain(answer)) and len(wanted.findall(_plain(passage))) > len(wanted.findall(_plain(question)))


def _plain(text: str) -> str:
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text).casefold().strip()


def _quoted(gold: Gold, prompt: Prompt) -> Gold:
    return replace(gold, grounds="quoted") if stands_in(gold.answer, prompt.chunk.text, prompt.question) else gold


async def _read_again(desk: Desk, prompts: Sequence[Prompt], number: int, temperature: float) -> list[Gold]:
    """The generator's answer to each prompt with the passage at hand; "" where the unit was given up."""
    templates = load(desk.pin("generator").templates)
    template = templates.template("gold")
    tasks = [
        Generate(
            model=desk.pin("generator").model,
            messages=template.render(question=prompt.question, chunk=prompt.chunk.text),
            sampler=replace(template.sampler, temperature=temperature),
            seed=seed_for(desk.spec.seed, prompt.id, number) if temperature else 0,
            template=template.id,
            thinking=desk.spec.thinking_of("generator"),
        )
        for prompt in prompts
    ]
    results = await desk.generate("generator", tasks)
    return [
        Gold(answer="" if result is None else templates.solving.everyday(final_answer(result.text)), stated_by=task)
        for task, result in zip(tasks, results, strict=True)
    ]
