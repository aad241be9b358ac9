"""Training: defects of a training run, and of what it leaves behind."""

from __future__ import annotations

import math
from dataclasses import replace

from realign_daemon.curation.selftest.checks import Gate
from realign_daemon.curation.selftest.defect import Defect
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import suites
from realign_daemon.engine.api import Generated, Result, Task, Train, Trained

NOT_TRAINED = "nothing was trained"
STEPS = 20
LEAST_RIGHT = 0.25  # of a suite's items: with fewer there is little to forget


def of_training(stage: str) -> tuple[Defect, ...]:
    """Of a stage that trains."""
    loss = Gate(stage=stage, name="training_loss")
    return (
        Defect(name="a training that diverges", check=loss, plant=diverging),
        Defect(name="a loss that rises", check=loss, plant=_rising),
    )


def forgetting(stage: str) -> Defect:
    """Of the stage that asks the suites again."""
    return Defect(
        name="forgotten capabilities", check=Gate(stage=stage, name="regression", whole=True), plant=_forgetting
    )


def trained_as(trial: Trial, **figures: object) -> str:
    """Has every training end with these figures."""

    def answers(task: Task, known: Result | None) -> Result | None:
        return replace(known, **figures) if isinstance(task, Train) and isinstance(known, Trained) else known

    trial.desk.answers = answers
    return "" if trial.desk.tuned else NOT_TRAINED


def diverging(trial: Trial) -> str:
    """Has the loss of every training end as no number."""
    return trained_as(trial, step_losses=(1.0,) * STEPS + (math.nan,))


def _rising(trial: Trial) -> str:
    return trained_as(trial, step_losses=tuple(1 + step / STEPS for step in range(STEPS)))


def _forgetting(trial: Trial) -> str:
    def answers(task: Task, known: Result | None) -> Result | None:
        is_item = isinstance(known, Generated) and getattr(task, "template", "") == suites.TEMPLATE
        return replace(known, text="") if is_item and isinstance(known, Generated) else known

    trial.desk.answers = answers
    before = [[right for right in items if right is not None] for items in trial.material.suites_before.values()]
    knew = any(sum(items) >= max(1.0, LEAST_RIGHT * len(items)) for items in before)
    return "" if knew else "the target had little of the suites right before"
