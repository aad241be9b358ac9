"""SFT: defects of answers that are to be learned, of their form, and of the model that learned them."""

from __future__ import annotations

from dataclasses import replace

from realign_daemon.curation.selftest.checks import Drops, Gate
from realign_daemon.curation.selftest.defect import Defect, Plant
from realign_daemon.curation.selftest.outputs import NO_PROMPTS
from realign_daemon.curation.selftest.rows import NO_ROWS
from realign_daemon.curation.selftest.sayings import everywhere, is_of
from realign_daemon.curation.selftest.training import NOT_TRAINED
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages.sft.filtering import UNFITTING, UNGROUNDED
from realign_daemon.curation.stages.sft.lesson import groundedness_slot
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Fill, Filled, Fused, Generate, Generated, Rendered, Result, Score, Scored, Task

# Too little for a ground, and enough for a fair grade where one digit is all that a rubric asks for.
HARDLY_GROUNDED = (0.0, 0.0, 0.6, 0.4, 0.0)
ROUND = "and so on, "
ENDLESS_TOKENS = 10_000_000


def of_answers(stage: str) -> tuple[Defect, ...]:
    """Of the stage that filters by quality."""
    return (
        Defect(name="poor answers", check=Gate(stage=stage, name="quality_score"), plant=_poor),
        Defect(name="answers to other questions", check=Drops(stage=stage, name=UNFITTING), plant=_mismatched),
        Defect(name="answers without ground", check=Drops(stage=stage, name=UNGROUNDED), plant=_ungrounded),
    )


def of_form(stage: str) -> tuple[Defect, ...]:
    """Of the stage that renders rows in the target's tokens."""
    check = Gate(stage=stage, name="round_trip_fraction")
    return (
        Defect(
            name="rows that the chat template changes", check=check, plant=_rendered(problem="turns come back changed")
        ),
        Defect(name="rows longer than training takes", check=check, plant=_rendered(completion_tokens=ENDLESS_TOKENS)),
    )


def of_learning(stage: str) -> Defect:
    """Of the stage that scores held-out answers."""
    return Defect(
        name="held-out answers that got less likely", check=Gate(stage=stage, name="held_out_gain"), plant=_less_likely
    )


def of_knowledge(stage: str) -> Defect:
    """Of the stage that asks closed-book questions."""
    return Defect(
        name="a model that knows less of the source", check=Gate(stage=stage, name="closed_book_gain"), plant=_ignorant
    )


def of_deployment(stage: str) -> tuple[Defect, ...]:
    """Of the stage that tries what is handed over; all of it, since a fused model was asked once."""
    check = Gate(stage=stage, name="smoke_fraction", whole=True)
    return (
        Defect(name="a deployed model that says nothing", check=check, plant=_says("")),
        Defect(name="a deployed model that goes round in circles", check=check, plant=_says(50 * ROUND)),
    )


def _poor(trial: Trial) -> str:
    def answers(task: Task, known: Result | None) -> Result | None:
        return everywhere(task, 0) if isinstance(task, Fill) and is_of(task, "rubric") else known

    trial.desk.answers = answers
    return "" if trial.material.responses else "there are no answers"


def _mismatched(trial: Trial) -> str:
    """Every answer twice as surprising with its question as without."""

    def answers(task: Task, known: Result | None) -> Result | None:
        if not isinstance(task, Score) or not isinstance(known, Scored):
            return known
        return replace(known, logprob=-known.tokens * (2.0 if task.messages else 1.0))

    trial.desk.answers = answers
    return _of_accepted(trial)


def _ungrounded(trial: Trial) -> str:
    rubrics = [load(pin.templates).template("rubric") for pin in trial.desk.judges]
    slots = {rubric.id: groundedness_slot(rubric) for rubric in rubrics}

    def answers(task: Task, known: Result | None) -> Result | None:
        if not isinstance(task, Fill) or not isinstance(known, Filled) or task.template not in slots:
            return known
        slot, judged = slots[task.template], known.probabilities
        return replace(known, probabilities=(*judged[:slot], HARDLY_GROUNDED, *judged[slot + 1 :]))

    trial.desk.answers = answers
    return _of_accepted(trial)


def _of_accepted(trial: Trial) -> str:
    if not trial.material.rows:
        return NO_ROWS
    trial.planted = tuple(prompt.question for prompt in trial.accepted())
    return ""


def _rendered(**changes: object) -> Plant:
    def plant(trial: Trial) -> str:
        def answers(_: Task, known: Result | None) -> Result | None:
            return replace(known, **changes) if isinstance(known, Rendered) else known

        trial.desk.answers = answers
        return "" if trial.material.rows else NO_ROWS

    return plant


def _less_likely(trial: Trial) -> str:
    tuned = trial.desk.tuned
    if tuned is None:
        return NOT_TRAINED

    def answers(task: Task, known: Result | None) -> Result | None:
        is_after = isinstance(task, Score) and task.adapter == tuned.adapter
        return replace(known, logprob=-9.0 * known.tokens) if is_after and isinstance(known, Scored) else known

    trial.desk.answers = answers
    return "" if any(row.is_held_out for row in trial.material.rows) else "no row is held out"


def _ignorant(trial: Trial) -> str:
    """All answers right before, and empty ones afterwards."""
    tuned = trial.desk.tuned
    if tuned is None:
        return NOT_TRAINED

    def answers(task: Task, known: Result | None) -> Result | None:
        if isinstance(task, Fill) and is_of(task, "verdict"):
            return everywhere(task, -1)
        if isinstance(known, Generated) and isinstance(task, Generate) and is_of(task, "response"):
            return replace(known, text="" if task.adapter == tuned.adapter else known.text or ROUND)
        return known

    trial.desk.answers = answers
    return "" if any(prompt.is_held_out for prompt in trial.material.prompts) else "no question is held out"


def _says(text: str) -> Plant:
    def plant(trial: Trial) -> str:
        def answers(_: Task, known: Result | None) -> Result | None:
            match known:
                case Generated():
                    return replace(known, text=text)
                case Fused(answers=said):
                    return replace(known, answers=tuple(replace(one, text=text) for one in said))
                case _:
                    return known

        trial.desk.answers = answers
        return "" if trial.material.prompts else NO_PROMPTS

    return plant
