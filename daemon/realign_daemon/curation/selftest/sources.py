"""Sources: defects of what a job reads, and of the questions that come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from realign_daemon.curation.selftest.checks import Drops, Gate
from realign_daemon.curation.selftest.defect import Defect
from realign_daemon.curation.selftest.outputs import NO_PROMPTS
from realign_daemon.curation.selftest.sayings import answer_of, written
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import grounding, hygiene, prompts
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Result, Task

NO_PASSAGES = "there are no passages"
LEANS = "the question leans on the passage"
LEANING = "What does the author of this passage say about it in the table above?"
UNREADABLE = "\ufffd"  # what decoders write for a character that they cannot tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction(Gate):
    """The gate of the text that was read, without the rest of its stage."""

    async def measures(self, trial: Trial) -> Measures:
        """What reading the sources measures."""
        return await grounding.read_sources(trial.desk, trial.material, load(trial.desk.pin("target").templates))


def of_sources(stage: str) -> tuple[Defect, ...]:
    """Of the stage that reads the sources and asks about them."""
    leaks = Drops(stage=stage, name=hygiene.LEAKS, part=_cleaned)
    repeats = Drops(stage=stage, name=hygiene.REPEATS, part=_cleaned)
    return (
        Defect(
            name="text of unreadable characters", check=Extraction(stage=stage, name="text_ratio"), plant=_unreadable
        ),
        Defect(
            name="questions that lean on the text", check=Drops(stage=stage, name=LEANS, part=_drawn), plant=_leaning
        ),
        Defect(name="an evaluation item asked as a question", check=leaks, plant=_leaked),
        Defect(name="a question asked twice", check=repeats, plant=_twice),
    )


async def _drawn(trial: Trial) -> None:
    await prompts.draw_prompts(trial.desk, trial.material, trial.work.asking)


async def _cleaned(trial: Trial) -> None:
    await hygiene.clean_prompts(trial.desk, trial.material, trial.material.prompts)


def _unreadable(trial: Trial) -> str:
    trial.desk.spoil = lambda text: "".join(UNREADABLE if one.isalnum() else one for one in text)
    return "" if trial.material.chunks else NO_PASSAGES


def _leaning(trial: Trial) -> str:
    template = load(trial.desk.pin("generator").templates).template(trial.work.asking.template)

    def answers(task: Task, known: Result | None) -> Result | None:  # noqa: ARG001 - asked anything, it says this
        return written(answer_of(template, LEANING))

    trial.desk.answers = answers
    trial.material.records = []
    trial.material.chunks = trial.material.chunks[:1]  # of several equal questions the first is all there is
    trial.planted = (LEANING,)
    return "" if trial.material.chunks else NO_PASSAGES


def _leaked(trial: Trial) -> str:
    if not trial.material.prompts:
        return NO_PROMPTS
    leaked = trial.chance.choice(trial.material.prompts)
    trial.desk.leaked = trial.planted = (leaked.question,)
    return ""


def _twice(trial: Trial) -> str:
    if not trial.material.prompts:
        return NO_PROMPTS
    again = trial.chance.choice(trial.material.prompts)
    spoken = f" {again.question}"  # the same but for white space, so that the two can be told apart here
    trial.material.prompts = [*trial.material.prompts, replace(again, question=spoken)]
    trial.planted = (spoken,)
    return ""
