"""Checks: the gates, filters and warnings of the stages, as they are in the workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.run import sentence
from realign_daemon.curation.selftest.defect import Check
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import hygiene
from realign_daemon.curation.stages.measures import Measures
from realign_planner import gates
from realign_planner.thresholds import Tiered, threshold

PLANTED = "planted"  # in the provenance of a row that a defect put there


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Check):
    """Fires when the stage's gate surely rejects; one that `warns`, also when it is MEDIUM."""

    warns: bool = False

    async def fires(self, trial: Trial) -> str:
        """The verdict, where it is against the trial."""
        measure = (await self.measures(trial))[self.name]
        verdict = gates.judge(self.stage, measure, overrides=trial.desk.spec.gate_settings)
        is_against = gates.blocks_surely(verdict) or (self.warns and verdict.tier == "MEDIUM")
        return sentence(verdict) if is_against else ""

    async def measures(self, trial: Trial) -> Measures:
        """What the stage measures on the trial."""
        return await trial.measures(self.stage)

    def found(self, record: JobRecord) -> bool:
        """Whether the job's own verdict is as bad, or rests on too few samples to be so."""
        tiers = {verdict.tier for verdict in record.gates if (verdict.stage, verdict.metric) == (self.stage, self.name)}
        if self.warns:
            return bool(tiers - {"HIGH"})
        limits = threshold(self.name)
        return "REJECT" in tiers or ("INSUFFICIENT" in tiers and isinstance(limits, Tiered) and limits.biased_when_few)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops(Check):
    """Fires when all that was planted is dropped for a reason that begins like the name.

    On an untouched trial it fires when anything is dropped so that the job kept: one of its rows or, in a part of a
    stage that is about prompts, one of its prompts.
    """

    part: Callable[[Trial], Awaitable[object]] | None = None  # of the stage; all of it where there is none

    async def fires(self, trial: Trial) -> str:
        """How many were dropped."""
        kept = {str(row.provenance.get("question")) for row in trial.material.rows}
        if self.part is None:
            await trial.measures(self.stage)
        else:
            kept = {prompt.question for prompt in trial.material.prompts}
            trial.desk.stage.name = self.stage
            await self.part(trial)
        gone = {str(one.content.get("question")) for one in trial.material.dropped if one.reason.startswith(self.name)}
        caught = gone & (set(trial.planted) or kept)
        return f"{len(caught)} dropped: {self.name}" if caught and caught >= set(trial.planted) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning(Check):
    """Fires when cleaning takes out, redacts or warns of every row that was planted; or drops any where none was."""

    warning: str = ""  # words of the warning that may come instead

    async def fires(self, trial: Trial) -> str:
        """How many rows were found."""
        trial.desk.stage.name = self.stage
        kept = await hygiene.clean_rows(trial.desk, trial.material, trial.material.rows)
        passed = [row for row in kept if PLANTED in row.provenance and "redacted" not in row.provenance]
        if self.warning and (warned := [text for text in trial.desk.record.warnings if self.warning in text]):
            return warned[0]
        dropped = sum(one.reason == self.name for one in trial.material.dropped)
        caught = dropped + sum(PLANTED in row.provenance and "redacted" in row.provenance for row in kept)
        return f"{caught} left out or redacted: {self.name}" if caught and not passed else ""

    def found(self, record: JobRecord) -> bool:
        """Whether the job was warned itself."""
        return bool(self.warning) and any(self.warning in text for text in record.warnings)
