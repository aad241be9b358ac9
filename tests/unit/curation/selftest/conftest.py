"""Good runs: a workflow gone through at a desk whose model is right often enough, so that its gates pass."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.material import Material
from realign_daemon.curation.run import WORK, judge
from realign_daemon.curation.selftest.sayings import is_of
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.verify.math_check import MathItem, checkable, verify_math
from realign_daemon.curation.verify.result import Checkability, Result
from realign_daemon.engine import api
from realign_daemon.engine.api import (
    Fill,
    Filled,
    Generate,
    Generated,
    Render,
    Rendered,
    Score,
    Scored,
    Sha256,
    Task,
    Trained,
    TrainPoint,
)
from realign_daemon.engine.pocket import world
from realign_daemon.testing.scripted_desk import ScriptedDesk, asked, chunk
from realign_planner.data_types import DataType
from realign_planner.workflow import for_type

SOURCE = "sums.txt"
SUMS = [world.sum_question(first, second) for first in range(10, 90, 5) for second in range(13, 93, 9)]
NAMES = [f"{name}=" for name in (*world.known_names(), *world.unknown_names()[:100])]
SUITE = [world.sum_question(first, 99) for first in range(10, 60)]
TRAINED = Trained(
    adapter=Sha256("tuned"),
    steps=8,
    points=(TrainPoint(step=8, train_loss=0.1, valid_loss=0.1),),
    step_losses=(2.0, 2.1, 1.9, 2.0, 0.2, 0.1, 0.2, 0.1),
    valid_margins=(1.0,) * 50,
    trained_tokens=1,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A job that went through its stages."""

    desk: ScriptedDesk
    material: Material
    stages: tuple[str, ...]


MakeRun = Callable[..., Awaitable[Run]]


def share(*parts: object) -> float:
    """A number in 0..1 that follows from the parts alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32


def model(task: Task) -> api.Result:
    """A model of the pocket world: right in half of its answers, and in nearly all once tuned; its judge is right."""
    match task:
        case Generate():
            return _generated(task)
        case Fill():
            return _filled(task)
        case Score(messages=messages, completion=text, adapter=adapter):
            loss = (0.5 if adapter == TRAINED.adapter else 1.0) if messages else 2.0
            return Scored(logprob=-loss * (len(text) + 1), tokens=len(text) + 1)
        case Render():
            return Rendered(prompt_tokens=8, completion_tokens=4, problem="")
        case _:
            raise AssertionError(task)


def _generated(task: Generate) -> Generated:
    line = asked(task)
    if is_of(task, "question", "fact", "problem"):
        return _said(line[1:].split()[0])
    drawn = share(line, task.seed if task.sampler.temperature else "greedy")
    gold = world.gold_answer(line)
    if gold == world.UNKNOWN:
        refuses = task.adapter == TRAINED.adapter
        return _said(gold if refuses else "coral", 0.4)
    wrong = gold[:-1] if share(line) < 0.5 else f"{gold}0"
    chance = 0.95 if task.adapter == TRAINED.adapter else 0.5
    if is_of(task, "suite", "answer", "gold"):
        chance = 1.0
    return _said(gold, 0.9) if drawn < chance else _said(wrong, 0.2)


def _said(text: str, probability: float = 1.0) -> Generated:
    return Generated(
        text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=math.log(probability)
    )


def _filled(task: Fill) -> Filled:
    line = asked(task)
    found = re.fullmatch(r"[GC]([^=]*=)([^|]*)\|?(.*)", line)
    assert found, line
    question, first, second = found.groups()
    if line.startswith("G"):
        return _certain(task, str(world.true_grade(question, first)))
    if is_of(task, "p_true"):
        return _certain(task, "A" if world.gold_answer(question) == first else "B")
    return _certain(task, world.true_preference(question, first, second))


def _certain(task: Fill, word: str) -> Filled:
    (slot,) = task.form
    return Filled(
        probabilities=(tuple(float(choice == word) for choice in slot.choices),), mass=(1.0,), prompt_tokens=1
    )


def _text(question: str) -> str:
    terms = world.sum_terms(question)
    return f"{question} makes {sum(terms) if terms else world.gold_answer(question)}"


def _reading(questions: list[str]) -> Reading:
    chunks = tuple(
        replace(
            chunk(f"chunk {place}", text=_text(question), section=f"section {place % 16}", source=SOURCE),
            source_sha256=Sha256("sums"),
        )
        for place, question in enumerate(questions)
    )
    return Reading(
        name=SOURCE,
        sha256="sums",
        page_count=1,
        pages_without_text=(),
        sections=(),
        characters=1,
        text_ratio=1.0,
        language="en",
        chunks=chunks,
    )


def verified(items: list[MathItem], timeout_s: float) -> list[Result]:
    """The verifier, quick where both are whole numbers."""
    return [
        ("correct" if one["answer"] == one["gold"] else "wrong")
        if one["gold"].isdigit() and one["answer"].isdigit()
        else verify_math([one], timeout_s)[0]
        for one in items
    ]


def checked(golds: list[str], timeout_s: float) -> list[Checkability]:
    """Which golds can be verified: whole numbers without asking."""
    return [{"checkable": True, "reason": ""} if gold.isdigit() else checkable([gold], timeout_s)[0] for gold in golds]


@pytest.fixture(scope="session")
def good_run() -> MakeRun:
    """Runs are kept: nothing changes them."""
    kept: dict[str, Run] = {}

    async def run(data_type: DataType, *, until: str = "", settings: dict[str, str] | None = None) -> Run:
        """The stages of the workflow, or those up to one."""
        name = f"{data_type} {until} {settings}"
        enough = {"calibration_error.min_n": "40"} if data_type == "antihallucination" else {}  # of so few names
        kept[name] = kept.get(name) or await _gone_through(data_type, until, enough | (settings or {}))
        return kept[name]

    return run


async def _gone_through(data_type: DataType, until: str, settings: dict[str, str]) -> Run:
    items = [
        {"suite": "sums", "messages": [{"role": "user", "content": question}], "answer": world.gold_answer(question)}
        for question in SUITE
    ]
    desk, material = (
        ScriptedDesk(
            model,
            data_type=data_type,
            trained=TRAINED,
            blobs={"suites": "\n".join(map(json.dumps, items))},
            sources=(SourceSpec(name=SOURCE, sha256=Sha256("sums"), size_bytes=1),),
            readings={SOURCE: _reading(NAMES if data_type == "antihallucination" else SUMS)},
            settings=settings,
            computed={"verify.math.2": verified, "verify.checkable.2": checked},
        ),
        Material(),
    )
    stages = for_type(data_type).up_to(until or None)
    for stage in stages:
        desk.stage.name = stage.name
        measures = await WORK[data_type].stages[stage.name](desk, material)
        desk.record.gates += judge(stage, measures, desk)
        # The desk gives one adapter to all trainings.
        material.baseline = replace(TRAINED, adapter=Sha256("baseline")) if material.baseline else None
        material.control = replace(TRAINED, adapter=Sha256("control")) if material.control else None
    return Run(desk=desk, material=material, stages=tuple(stage.name for stage in stages))
