"""Trial: a copy of a part of what a job made, at a desk of its own: what a defect is planted in and a check runs on."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields, replace
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


def trial(desk: Desk, material: Material, work: Work, *, stage: str, name: str) -> Trial:
    """An untouched trial, with things as they were when the stage began; its chance comes of seed and name."""
    part = replace(material, dropped=[])
    for each in fields(part):
        setattr(part, each.name, copy(getattr(part, each.name)))
    found = Trial(
        desk=TrialDesk(desk, part), material=part, work=work, chance=Random(seed_for(desk.spec.seed, name, 0))
    )
    workflow = for_type(desk.spec.data_type)
    last_training = max(place for place, one in enumerate(workflow.stages) if one.trains)
    if (workflow.stage_index(stage) or 0) <= last_training:  # else an earlier stage would use what came of it
        part.tuned = part.control = part.scaling = None
    return found


def sampled(material: Material, *, seed: int) -> Material:
    """What there is of ITEMS prompts, drawn by hash; without any prompts, the first chunks."""
    prompts = sorted(material.prompts, key=lambda prompt: seed_for(seed, prompt.id, 0))[:ITEMS]
    chosen = {prompt.id for prompt in prompts}
    questions = {prompt.question for prompt in prompts}
    places = {prompt.chunk.id for prompt in prompts} or {chunk.id for chunk in material.chunks[:ITEMS]}
    return replace(
        material,
        chunks=[chunk for chunk in material.chunks if chunk.id in places],
        records=[record for record in material.records if record.chunk.id in places],
        unasked=[],
        prompts=[prompt for prompt in material.prompts if prompt.id in chosen],
        given=[pair for pair in material.given if pair.prompt.id in chosen],
        responses=[response for response in material.responses if response.prompt.id in chosen],
        rated={key: rated for key, rated in material.rated.items() if key in chosen},
        pairs=[pair for pair in material.pairs if pair.prompt.id in chosen],
        problems=[problem for problem in material.problems if problem.prompt.id in chosen],
        solutions={key: found for key, found in material.solutions.items() if key in chosen},
        probes=[one for one in material.probes if one.prompt.id in chosen or one.question.twin in chosen],
        rows=[row for row in material.rows if row.provenance.get("question") in questions],
    )
