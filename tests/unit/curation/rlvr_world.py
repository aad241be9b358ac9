"""RLVR for tests: problems of the pocket model's kind, solutions to them, and a desk at which a test writes these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from realign_daemon.curation.material import Material, Prompt, Response
from realign_daemon.curation.stages.rlvr.problem import Problem, Solution
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Generate, Generated, Sha256, Train, Trained
from realign_daemon.testing.scripted_desk import ScriptedDesk, chunk, generation, prompt

Write = Callable[[Generate], str | None]
RIGHT, WRONG = "640", "650"  # to 12+34= in the pocket model's digits
FALLING = (4.0, 3.0, 2.0, 1.0)  # losses of a training


def desk_of(
    write: Write = lambda _: None,
    *,
    computed: Mapping[str, Callable[..., Any]] | None = None,
    losses: tuple[float, ...] = FALLING,
    **settings: str,
) -> ScriptedDesk:
    """A desk at which models say what `write` gives; None is a unit that was given up.

    Every training has these losses; it fails without any.
    """
    numbers = count(1)

    def answer(task: Generate) -> Generated | None:
        text = write(task)
        return None if text is None else written(text)

    return ScriptedDesk(
        answer,
        blobs={"suites": ""},
        computed=computed,
        trained=(lambda task: taught(f"{task.method} {next(numbers)}", losses)) if losses else None,
        data_type="rlvr",
        settings=settings,
    )


def generations(desk: ScriptedDesk) -> list[Generate]:
    """What was to be written."""
    return [task for task in desk.tasks if isinstance(task, Generate)]


def rows_of(desk: ScriptedDesk, task: Train) -> list[dict[str, Any]]:
    """What it trains on."""
    return [json.loads(line) for line in desk.blobs.read(task.dataset).decode().splitlines()]


def same(items: list[dict[str, str]], timeout_s: float) -> list[str]:
    """A verifier for answers that are written in one way only."""
    return ["correct" if item["answer"] == item["gold"] else "wrong" for item in items]


PLAIN: Mapping[str, Callable[..., Any]] = {"verify.math.2": same}


def written(text: str) -> Generated:
    return Generated(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=0.0)


def taught(adapter: str, losses: tuple[float, ...] = FALLING) -> Trained:
    return Trained(adapter=Sha256(adapter), steps=4, points=(), step_losses=losses, trained_tokens=1)


def given_prompt(question: str, gold: str = "", *, is_held_out: bool = False) -> Prompt:
    """That of a record."""
    return replace(prompt(question, gold=gold, is_held_out=is_held_out), task=None)


def drawn_prompt(question: str, gold: str = "", *, passage: str) -> Prompt:
    """One that a generator wrote about a passage."""
    return prompt(question, gold=gold, of=chunk(question, text=passage))


def problem(question: str, gold: str = "46", *, is_held_out: bool = False) -> Problem:
    return Problem(prompt=given_prompt(question, gold, is_held_out=is_held_out), answer_type="number", grounds="given")


def solved(of: Problem, texts: Sequence[str]) -> list[Solution]:
    """Solutions in the pocket model's digits; `640` is right."""
    solving = load("pocket").solving
    return [
        Solution(
            response=Response(prompt=of.prompt, text=text, task=replace(generation(), seed=seed), is_truncated=False),
            answer=solving.everyday(text),
            is_in_form=solving.is_in_form(text),
            result="correct" if text == RIGHT else "wrong",
        )
        for seed, text in enumerate(texts)
    ]


def cut(solution: Solution) -> Solution:
    """The same, cut off at the token limit."""
    return replace(solution, response=replace(solution.response, is_truncated=True))


def rewarded_material() -> Material:
    """Four problems: always, never, sometimes solved, and one that is held out and never solved."""
    problems = [problem("always="), problem("never="), problem("sometimes="), problem("held=", is_held_out=True)]
    texts = [[RIGHT] * 4, [WRONG] * 4, [WRONG, RIGHT, "64", RIGHT], [WRONG] * 4]
    return Material(
        problems=problems,
        solutions={one.prompt.id: solved(one, given) for one, given in zip(problems, texts, strict=True)},
    )


def reasons(material: Material) -> list[str]:
    return [one.reason for one in material.dropped]
