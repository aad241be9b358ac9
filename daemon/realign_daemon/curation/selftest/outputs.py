"""Outputs: defects of a model that is sampled: it says nothing, does not come to an end, or repeats itself."""

from __future__ import annotations

from dataclasses import replace

from realign_daemon.curation.selftest.checks import Gate
from realign_daemon.curation.selftest.defect import Defect
from realign_daemon.curation.selftest.sayings import is_of
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.engine.api import Generate, Generated, Message

NO_PROMPTS = "there are no prompts"
SAMPLED = ("answer", "response", "solution", "program")


def empty(stage: str, metric: str = "valid_fraction") -> Defect:
    """A model that says nothing."""
    return Defect(name="empty outputs", check=Gate(stage=stage, name=metric), plant=_empty)


def truncated(stage: str) -> Defect:
    """A model that never comes to an end."""
    return Defect(name="truncated outputs", check=Gate(stage=stage, name="truncated_fraction"), plant=_truncated)


def repeated(stage: str) -> Defect:
    """A model that says the same in all its samples."""
    return Defect(name="repeated outputs", check=Gate(stage=stage, name="distinct_fraction"), plant=_repeated)


def _empty(trial: Trial) -> str:
    def answers(task: Generate, known: Generated | None) -> Generated | None:
        return replace(known, text=" ") if known and is_of(task, *SAMPLED) else known

    trial.desk.answers = answers
    return "" if trial.material.responses else "there are no outputs"


def _truncated(trial: Trial) -> str:
    def answers(task: Generate, known: Generated | None) -> Generated | None:
        return replace(known, finish_reason="length") if known and is_of(task, *SAMPLED) else known

    trial.desk.answers = answers
    return "" if trial.material.responses else "there are no outputs"


def _repeated(trial: Trial) -> str:
    first: dict[tuple[Message, ...], str] = {}

    def answers(task: Generate, known: Generated | None) -> Generated | None:
        if known is None or not is_of(task, *SAMPLED):
            return known
        return replace(known, text=first.setdefault(task.messages, known.text))

    trial.desk.answers = answers
    return "" if trial.material.responses else "there are no outputs"
