"""Check: one thing that doctor looked at, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_planner.diagnosis.causes import CAUSES, Severity

State = Literal["ok", "failed", "warning", "skipped", "unknown"]

EVIDENCE_CHARACTERS = 300  # what a command printed is quoted so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`cause` is an id of causes.CAUSES, None where nothing is wrong."""

    id: str
    title: str
    state: State
    cause: str | None = None
    severity: Severity | None = None
    exit_code: int = 0
    sentence: str = ""
    fix: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What is looked at; gives the checks that come of it."""

    id: str
    title: str

    def ok(self, sentence: str, evidence: str = "") -> Check:
        """It is as it should be."""
        return Check(id=self.id, title=self.title, state="ok", sentence=sentence, evidence=quoted(evidence))

    def skipped(self, why: str) -> Check:
        """It was not looked at."""
        return Check(id=self.id, title=self.title, state="skipped", sentence=why)

    def unknown(self, why: str, evidence: str = "", *, matters: bool = False) -> Check:
        """It could not be read; that is a cause of its own where it `matters`."""
        if not matters:
            return Check(id=self.id, title=self.title, state="unknown", sentence=why, evidence=quoted(evidence))
        return self._found("cannot_tell", evidence or why, "unknown", {})

    def failed(self, cause: str, evidence: str = "", **names: str) -> Check:
        """It is the cause; `names` fill in its sentence and its fix. A cause that is a warning warns."""
        return self._found(cause, evidence, "warning" if CAUSES[cause].severity == "warning" else "failed", names)

    def _found(self, name: str, evidence: str, state: State, names: dict[str, str]) -> Check:
        cause = CAUSES[name]
        return Check(
            id=self.id,
            title=self.title,
            state=state,
            cause=name,
            severity=cause.severity,
            exit_code=cause.exit_code,
            sentence=cause.sentence.format_map(names) if names else cause.sentence,
            fix=cause.fix.format_map(names) if names else cause.fix,
            evidence=quoted(evidence),
        )


def quoted(text: str) -> str:
    """The text on one line, cut where it is long."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= EVIDENCE_CHARACTERS else line[: EVIDENCE_CHARACTERS - 1] + "…"
