"""Checks: the gates, filters and warnings of the stages, as they are in the workflow."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.run import sentence
from realign_daemon.curation.selftest.trial import Trial
from realign_daemon.curation.stages import hygiene
from realign_planner import gates

PLANTED = "planted"  # in the provenance of a row that a defect put there


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Fires when the stage's gate surely rejects; one that `warns`, when it accepts no longer."""

    stage: str
    name: str
    whole: bool = False
    warns: bool = False

    async def fires(self, trial: Trial) -> str:
        """The verdict, where it is against the trial."""
        measure = (await trial.measures(self.stage))[self.name]
        verdict = gates.judge(self.stage, measure, overrides=trial.desk.spec.gate_settings)
        is_against = verdict.tier != "HIGH" if self.warns else gates.blocks_surely(verdict)
        return sentence(verdict) if is_against else ""

    def found(self, record: JobRecord) -> bool:
        """Whether the job's own verdict is as bad."""
        tiers = {verdict.tier for verdict in record.gates if (verdict.stage, verdict.metric) == (self.stage, self.name)}
        return bool(tiers - {"HIGH"}) if self.warns else "REJECT" in tiers


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """Fires when the stage drops all that was planted for this reason; of an untouched trial, when it drops any row."""

    stage: str
    name: str  # how the reason begins
    whole: bool = False

    async def fires(self, trial: Trial) -> str:
        """How many were dropped."""
        rows = {str(row.provenance["question"]) for row in trial.material.rows}
        wanted = set(trial.planted)
        await trial.measures(self.stage)
        gone = {str(one.content.get("question")) for one in trial.material.dropped if one.reason.startswith(self.name)}
        caught = gone & (wanted or rows)
        return f"{len(caught)} dropped: {self.name}" if caught and wanted <= gone else ""

    def found(self, record: JobRecord) -> bool:  # noqa: ARG002 - what the job dropped itself is no row of it
        """Never."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """Fires when cleaning takes out, redacts or warns of every row that was planted; or drops any where none was."""

    stage: str
    name: str  # the reason to drop a row
    warning: str = ""  # words of the warning that may come instead
    whole: bool = False

    async def fires(self, trial: Trial) -> str:
        """How many rows were found."""
        trial.desk.stage.name = self.stage
        kept = await hygiene.clean_rows(trial.desk, trial.material, trial.material.rows)
        passed = [row for row in kept if PLANTED in row.provenance and "redacted" not in row.provenance]
        if self.warning and any(self.warning in text for text in trial.desk.record.warnings):
            return f"a warning that rows {self.warning}"
        dropped = sum(one.reason == self.name for one in trial.material.dropped)
        caught = dropped + sum(PLANTED in row.provenance and "redacted" in row.provenance for row in kept)
        return f"{caught} left out or redacted: {self.name}" if caught and not passed else ""

    def found(self, record: JobRecord) -> bool:
        """Whether the job was warned itself."""
        return bool(self.warning) and any(self.warning in text for text in record.warnings)
