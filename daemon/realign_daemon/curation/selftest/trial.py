"""Trial: a copy of a part of what a job made, at a desk of its own: what a defect is planted in and a check runs on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from random import Random

from realign_daemon.curation.desk import Desk
from realign_daemon.curation.material import Material, Prompt
from realign_daemon.curation.record import StageRecord
from realign_daemon.curation.selftest.trial_desk import TrialDesk
from realign_daemon.curation.stages.measures import Measures
from realign_daemon.curation.stages.work import Work
from realign_daemon.work.units import seed_for
from realign_planner.workflow import for_type

# A defect spoils all that it is planted in, so few items show it; an interval over so many is narrow enough.
ITEMS = 60


@dataclass(slots=True, kw_only=True)
class Trial:
    """Its lists are its own, what they hold is the job's: a defect puts other values into them and changes none."""

    desk: TrialDesk
    material: Material
    work: Work
    chance: Random
    planted: tuple[str, ...] = ()  # the questions that a check of single items must find fault with

    async def measures(self, stage: str) -> Measures:
        """What the workflow's own stage measures on the copy."""
        self.desk.stage = StageRecord(name=stage, title=stage)
        self.material.dropped = []
        return await self.work.stages[stage](self.desk, self.material)

    def accepted(self) -> list[Prompt]:
        """The prompts that became rows of the job; all of them where none did or the rows are still to come."""
        questions = {str(row.provenance.get("question")) for row in self.material.rows}
        return [one for one in self.material.prompts if one.question in questions] or self.material.prompts


def trial(desk: Desk, material: Material, work: Work, *, stage: str, name: str, whole: bool = False) -> Trial:
    """An untouched trial, as things were when the stage began; of ITEMS prompts unless the whole is asked for.

    Its chance is drawn by the job's seed and the name.
    """
    seed = desk.spec.seed
    drawn = sorted(material.prompts, key=lambda prompt: seed_for(seed, prompt.id, 0))
    part = copied(material, {prompt.id for prompt in (drawn if whole else drawn[:ITEMS])})
    found = Trial(desk=TrialDesk(desk, part), material=part, work=work, chance=Random(seed_for(seed, name, 0)))
    workflow = for_type(desk.spec.data_type)
    last_training = max(place for place, one in enumerate(workflow.stages) if one.trains)
    if (workflow.stage_index(stage) or 0) <= last_training:  # else an earlier stage would use what came of it
        part.tuned = part.control = part.scaling = None
    return found


def copied(material: Material, chosen: Collection[str]) -> Material:
    """What there is of these prompts, in lists of its own; without any prompts, the first chunks."""
    prompts = [prompt for prompt in material.prompts if prompt.id in chosen]
    places = {prompt.chunk.id for prompt in prompts} or {chunk.id for chunk in material.chunks[:ITEMS]}
    questions = {prompt.question for prompt in prompts}
    return replace(
        material,
        chunks=[chunk for chunk in material.chunks if chunk.id in places],
        records=[record for record in material.records if record.chunk.id in places],
        unasked=[],
        prompts=prompts,
        suites_before=dict(material.suites_before),
        given=[pair for pair in material.given if pair.prompt.id in chosen],
        responses=[response for response in material.responses if response.prompt.id in chosen],
        rated={key: list(rated) for key, rated in material.rated.items() if key in chosen},
        pairs=[pair for pair in material.pairs if pair.prompt.id in chosen],
        problems=[problem for problem in material.problems if problem.prompt.id in chosen],
        solutions={key: list(found) for key, found in material.solutions.items() if key in chosen},
        probes=[probe for probe in material.probes if {probe.prompt.id, probe.question.twin} & set(chosen)],
        rows=[row for row in material.rows if row.provenance.get("question") in questions],
        exhibits={},
        dropped=[],
    )
