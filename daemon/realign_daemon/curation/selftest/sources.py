"""Sources: defects of what a job reads, and of the questions that come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.selftest.checks import Gate
from realign_daemon.curation.selftest.defect import Defect
from realign_daemon.curation.selftest.outputs import NO_PROMPTS
from realign_daemon.curation.selftest.sayings import answer_of, written
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import hygiene, prompts
from realign_daemon.curation.templates import load
from realign_daemon.engine.api import Result, Task

LEANS = "the question leans on the passage"
LEANING = "What does the author of this passage say about it in the table above?"
UNREADABLE = "\ufffd"  # what decoders write for a character that they cannot tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Fires when every question that is drawn from the chunks is dropped for this reason; or one that the job kept."""

    stage: str
    name: str
    whole: bool = False

    async def fires(self, trial: Trial) -> str:
        """How many were dropped."""
        trial.desk.stage.name = self.stage
        await prompts.draw_prompts(trial.desk, trial.material, trial.work.asking)
        gone = sum(one.reason.startswith(self.name) for one in trial.material.dropped)
        is_against = gone and not (trial.planted and trial.material.prompts)
        return f"{gone} dropped: {self.name}" if is_against else ""

    def found(self, record: JobRecord) -> bool:  # noqa: ARG002 - a dropped question is none of the job's prompts
        """Never."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Fires when cleaning drops the planted questions for this reason; or any that the job kept."""

    stage: str
    name: str
    whole: bool = False

    async def fires(self, trial: Trial) -> str:
        """How many were dropped."""
        trial.desk.stage.name = self.stage
        await hygiene.clean_prompts(trial.desk, trial.material, trial.material.prompts)
        gone = {str(one.content["question"]) for one in trial.material.dropped if one.reason == self.name}
        return f"{len(gone)} dropped: {self.name}" if gone and set(trial.planted) <= gone else ""

    def found(self, record: JobRecord) -> bool:  # noqa: ARG002 - a dropped question is none of the job's prompts
        """Never."""
        return False


def of_sources(stage: str) -> tuple[Defect, ...]:
    """Of the stage that reads the sources and asks about them."""
    return (
        Defect(name="text of unreadable characters", check=Gate(stage=stage, name="text_ratio"), plant=_unreadable),
        Defect(name="questions that lean on the text", check=Drawing(stage=stage, name=LEANS), plant=_leaning),
        Defect(
            name="an evaluation item asked as a question",
            check=Questions(stage=stage, name=hygiene.LEAKS),
            plant=_leaked,
        ),
        Defect(name="a question asked twice", check=Questions(stage=stage, name=hygiene.REPEATS), plant=_twice),
    )


def _unreadable(trial: Trial) -> str:
    trial.desk.chunks = tuple(
        replace(chunk, text="".join(UNREADABLE if one.isalnum() else one for one in chunk.text))
        for chunk in trial.desk.chunks
    )
    return "" if trial.desk.chunks and not trial.desk.records else "there are no passages"


def _leaning(trial: Trial) -> str:
    template = load(trial.desk.pin("generator").templates).template(trial.work.asking.template)

    def answers(task: Task, known: Result | None) -> Result | None:  # noqa: ARG001 - asked anything, it says this
        return written(answer_of(template, LEANING))

    trial.desk.answers = answers
    trial.material.records = []
    trial.material.chunks = trial.material.chunks[:1]  # of several equal questions the first is all there is
    trial.planted = (LEANING,)
    return "" if trial.material.chunks else "there are no passages"


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
    # In the same part of the data: beside a held-out one it would be the other that goes.
    trial.material.prompts = [*trial.material.prompts, replace(again, id=f"{again.id} again", question=f" {again.question}")]
    trial.planted = (f" {again.question}",)
    return ""
