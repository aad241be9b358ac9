"""Rows: defects of the data set itself: repeats, leaks, personal data and strange languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Row
from realign_daemon.curation.selftest.checks import PLANTED, Cleaning
from realign_daemon.curation.selftest.defect import Defect
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import hygiene, prompts

NO_ROWS = "there are no rows"
FOREIGN_WARNING = "are not in"

# Rows of a job may be formulas, too short to be nearly alike or in any language, so prose is brought along.
PROSE = (
    ("Why does a wooden chair feel warmer to the hand than one of iron in the same cold room?",
     "Iron leads the heat of the hand away much faster than wood does, although both are equally cold."),
    ("What keeps the water of a kettle from growing hotter once it has begun to boil?",
     "All further heat turns water into steam, so the temperature stays where it is until the kettle is dry."),
    ("How can a sailor tell from the height of the pole star how far north the ship has come?",
     "The angle between that star and the horizon is nearly the same as the latitude of the ship."),
)  # fmt: skip
NEARLY = ("Why does a wooden chair feel warmer to the hand than one of iron in the same cold house?", PROSE[0][1])
# In Finnish, and in Spanish for a job that is in Finnish.
FOREIGN = {
    False: ("Miksi laivan kapteeni katsoo yöllä taivaalle ja mittaa pohjantähden korkeuden?",
            "Kulma tähden ja taivaanrannan välillä kertoo hänelle, kuinka pohjoisessa laiva on."),
    True: ("¿Por qué mira el capitán del barco al cielo por la noche y mide la altura de la estrella?",
           "El ángulo entre la estrella y el horizonte le dice lo lejos que está el barco hacia el norte."),
}  # fmt: skip
# The account that descriptions of the IBAN give as their example.
PERSONAL = ("To which account is the deposit for the chair to be paid?", "Pay it to DE89 3704 0044 0532 0130 00.")


def of_rows(stage: str) -> tuple[Defect, ...]:
    """Of the stage that makes the rows."""
    foreign = Cleaning(stage=stage, name=hygiene.FOREIGN, warning=FOREIGN_WARNING)
    return (
        Defect(name="a row that comes twice", check=Cleaning(stage=stage, name=hygiene.REPEATS), plant=_twice),
        Defect(name="two rows that are nearly alike", check=Cleaning(stage=stage, name=hygiene.REPEATS), plant=_nearly),
        Defect(name="an evaluation item in a row", check=Cleaning(stage=stage, name=hygiene.LEAKS), plant=_leaked),
        Defect(name="personal data in a row", check=Cleaning(stage=stage, name=hygiene.PERSONAL), plant=_personal),
        Defect(name="a row in another language", check=foreign, plant=_foreign),
    )


def _twice(trial: Trial) -> str:
    rows = trial.material.rows
    if not rows:
        return NO_ROWS
    trial.material.rows = [*rows, _marked(trial.chance.choice(rows))]
    return ""


def _nearly(trial: Trial) -> str:
    return _put(trial, [PROSE[0]], NEARLY)


def _leaked(trial: Trial) -> str:
    rows = trial.material.rows
    if not rows:
        return NO_ROWS
    place = trial.chance.randrange(len(rows))
    trial.material.rows = [*rows[:place], _marked(rows[place]), *rows[place + 1 :]]
    trial.desk.leaked = (prompts.question_of(rows[place].fields),)
    return ""


def _personal(trial: Trial) -> str:
    if trial.desk.spec.choice("pii", "redact") == "keep":
        return "the job keeps personal data (--set pii=keep)"
    return _put(trial, (), PERSONAL)


def _foreign(trial: Trial) -> str:
    wanted = trial.desk.spec.choice("language", "").lower()
    return _put(trial, () if wanted else PROSE, FOREIGN[wanted == "fi"])


def _put(trial: Trial, sound: Sequence[tuple[str, str]], spoiled: tuple[str, str]) -> str:
    """Puts rows of the job's form in the place of its own: sound ones, and the spoiled one."""
    if not trial.material.rows:
        return NO_ROWS
    form = trial.material.rows[0]
    trial.material.rows = [*(_saying(form, *one) for one in sound), _marked(_saying(form, *spoiled))]
    return ""


def _marked(row: Row) -> Row:
    return replace(row, provenance={PLANTED: True})


def _saying(form: Row, question: str, answer: str) -> Row:
    """A row of the same form that says this."""
    fields: dict[str, Any] = dict(form.fields)
    if "messages" in fields:
        system = [turn for turn in fields["messages"] if turn["role"] == "system"]
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        fields["messages"] = [*system, *turns]
    else:
        fields["prompt"] = question
    fields |= {name: answer for name in ("answer", "chosen", "solution") if name in fields}
    fields |= {name: f"Nobody knows. {answer}" for name in ("rejected",) if name in fields}
    return replace(form, fields={**fields, "id": row_id(fields)}, provenance={})
