"""Preference: defects of pairs, of judges who compare, and of a model that was trained on pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle

from realign_daemon.curation.material import Comparison, Pair, Rated
from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.selftest.checks import Drops, Gate
from realign_daemon.curation.selftest.defect import Check, Defect
from realign_daemon.curation.selftest.outputs import NO_PROMPTS
from realign_daemon.curation.selftest.sayings import chosen, everywhere, is_of
from realign_daemon.curation.selftest.training import NOT_TRAINED, trained_as
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import gaps, judging
from realign_daemon.engine.api import Fill, Generate, Generated, Result, Task

NO_PAIRS = "there are no pairs"
POOR = "?"  # answers nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths(Check):
    """Fires when the job is warned that its judge goes by length."""

    async def fires(self, trial: Trial) -> str:
        """The warning."""
        gaps.watch_lengths(trial.desk, trial.material.pairs)
        return next(iter(trial.desk.record.warnings), "")

    def found(self, record: JobRecord) -> bool:
        """Whether the job was warned itself."""
        return any(gaps.BY_LENGTH in warning for warning in record.warnings)


def of_judges(stage: str) -> tuple[Defect, ...]:
    """Of the stage that compares."""
    agreement = Gate(stage=stage, name="agreement_rate")
    return (
        Defect(name="a judge that always says A", check=agreement, plant=_always_first),
        Defect(name="a judge that always sees a tie", check=agreement, plant=_always_tied),
        Defect(name="a judge that draws lots", check=agreement, plant=_drawing),
        Defect(name="identical answers", check=Drops(stage=stage, name=judging.ALIKE), plant=_identical),
    )


def of_pairs(stage: str) -> tuple[Defect, ...]:
    """Of the stage that judges pairs afresh."""
    return (
        Defect(name="swapped labels", check=Gate(stage=stage, name="preference_gap"), plant=_swapped),
        Defect(name="wrong winners", check=Drops(stage=stage, name=gaps.LOWER_WINS), plant=_wrong_winner),
        Defect(
            name="pairs whose longer answer wins",
            check=Lengths(stage=stage, name="length_bias", whole=True),
            plant=_longer,
        ),
    )


def of_preference_training(stage: str) -> tuple[Defect, ...]:
    """Of the stage that trains on pairs."""
    return (
        Defect(
            name="a model that prefers the rejected answers",
            check=Gate(stage=stage, name="reward_accuracy"),
            plant=_inverted,
        ),
        Defect(
            name="a model that got worse at the task", check=Gate(stage=stage, name="task_metric"), plant=_poor_after
        ),
    )


def of_contest(stage: str) -> Defect:
    """Of the stage that compares the tuned model with its baseline."""
    return Defect(name="a tuned model that loses", check=Gate(stage=stage, name="win_rate"), plant=_losing)


def _compares(trial: Trial, verdict: Callable[[Fill], str]) -> str:
    """Has the judges say this, whatever they are shown."""

    def answers(task: Task, known: Result | None) -> Result | None:
        return chosen(task, [verdict(task)]) if isinstance(task, Fill) and is_of(task, "compare") else known

    trial.desk.answers = answers
    return "" if trial.material.prompts else NO_PROMPTS


def _always_first(trial: Trial) -> str:
    return _compares(trial, lambda _: "A")


def _always_tied(trial: Trial) -> str:
    return _compares(trial, lambda _: "T")


def _drawing(trial: Trial) -> str:
    return _compares(trial, lambda task: trial.chance.choice(task.form[-1].choices))


def _identical(trial: Trial) -> str:
    if trial.material.given:
        return "the pairs were given"
    first = {one.prompt.id: one.text for one in reversed(trial.material.responses) if one.text and not one.is_truncated}
    trial.material.responses = [
        replace(one, text=first.get(one.prompt.id, one.text)) for one in trial.material.responses
    ]
    trial.planted = tuple(prompt.question for prompt in trial.accepted() if prompt.id in first)
    return "" if trial.planted else "there are no answers"


def _swapped(trial: Trial) -> str:
    trial.material.pairs = [replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in trial.material.pairs]
    return "" if trial.material.pairs else NO_PAIRS


def _wrong_winner(trial: Trial) -> str:
    lost = Comparison(first_shown_first="B", first_shown_second="A")
    trial.material.pairs = [replace(pair, comparison=lost) for pair in trial.material.pairs]
    trial.planted = tuple(pair.prompt.question for pair in trial.material.pairs)
    return "" if trial.material.pairs else NO_PAIRS


def _longer(trial: Trial) -> str:
    def stretched(pair: Pair) -> Rated:
        response = pair.chosen.response
        room = " " * (1 + len(pair.rejected.response.text))
        return replace(pair.chosen, response=replace(response, text=response.text + room))

    trial.material.pairs = [replace(pair, chosen=stretched(pair)) for pair in trial.material.pairs]
    return "" if trial.material.pairs else NO_PAIRS


def _inverted(trial: Trial) -> str:
    tuned = trial.desk.tuned
    if tuned is None or not tuned.valid_margins:
        return NOT_TRAINED if tuned is None else "no pair was held out"
    return trained_as(trial, valid_margins=tuple(-abs(margin) for margin in tuned.valid_margins))


def _poor_after(trial: Trial) -> str:
    """Poor answers of the tuned model, which the judge has never seen and calls so."""
    return _answering_poorly(trial, lambda task: everywhere(task, 0) if is_of(task, judging.AGAIN) else None)


def _losing(trial: Trial) -> str:
    """Contests come in pairs: first with the tuned answer as A, then as B."""
    other = cycle("BA")
    return _answering_poorly(trial, lambda task: chosen(task, [next(other)]) if is_of(task, "compare") else None)


def _answering_poorly(trial: Trial, judge: Callable[[Fill], Result | None]) -> str:
    tuned = trial.desk.tuned
    if tuned is None:
        return NOT_TRAINED

    def answers(task: Task, known: Result | None) -> Result | None:
        if isinstance(task, Generate) and isinstance(known, Generated) and task.adapter == tuned.adapter:
            return replace(known, text=POOR)
        return judge(task) if isinstance(task, Fill) and known is None else known

    trial.desk.answers = answers
    return "" if any(prompt.is_held_out for prompt in trial.material.prompts) else "no question is held out"
