"""A workflow whose stages ask the engine for a few units and measure what a test says, for tests of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from realign_daemon.curation.export import row_id
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.stages.measures import Measures, rate
from realign_daemon.curation.stages.work import Work
from realign_daemon.testing.scripted_desk import generation
from realign_planner.data_types import DataType
from realign_planner.gates import Measure
from realign_planner.stage import Stage
from realign_planner.thresholds import threshold
from realign_planner.workflow import for_type

WORKFLOW = for_type("dpo")
UNITS = 4  # of each stage
SOURCE = {"name": "a.txt", "sha256": "5a" * 32, "section": ""}


class Script:
    """What the stages measure (all of it good, but for `measured`) and the rows that validate_gaps makes."""

    def __init__(
        self, *, n: int = 1000, measured: Mapping[str, Measure] | None = None, questions: tuple[str, ...] = ("1+1=",)
    ) -> None:
        self.n = n
        self.measured: dict[str, Measure] = dict(measured or {})
        self.questions = questions
        self.ran: list[str] = []
        self.held = ""  # the stage that waits, after half its units, until it is cancelled
        self.reached = asyncio.Event()

    @property
    def work(self) -> Mapping[DataType, Work]:
        stages = {stage.name: self._stage(stage) for stage in WORKFLOW.stages}
        return {"dpo": Work(stages=stages, enter=self._enter)}

    def _stage(self, stage: Stage) -> Callable[[Any, Material], Awaitable[Measures]]:
        async def run(desk: Any, material: Material) -> Measures:
            if not desk.is_pilot:
                self.ran.append(stage.name)
            tasks = [generation(f"{stage.name} {number}") for number in range(UNITS)]
            await desk.generate("target", tasks[: UNITS // 2])
            if stage.name == self.held and not desk.is_pilot:
                self.reached.set()
                await asyncio.Event().wait()
            await desk.generate("target", tasks[UNITS // 2 :])
            material.drop(stage.name, "a tie", question="2+2=")
            material.show(stage.name, [{"made": stage.name}])
            if stage.name == "validate_gaps":
                material.rows = [self._row(question) for question in self.questions]
            return {metric: self.measured.get(metric, _good(metric, self.n)) for metric in stage.gates}

        return run

    def _row(self, question: str) -> Row:
        fields = {"prompt": question, "chosen": "2", "rejected": "3"}
        provenance: dict[str, Any] = {"source": SOURCE, "spans": [], "question": question}
        return Row(fields={"id": row_id(fields), **fields}, provenance=provenance, is_held_out=False)

    async def _enter(self, desk: Any, material: Material) -> str:
        return WORKFLOW.entry


def _good(metric: str, n: int) -> Measure:
    if metric == "training_loss":
        return Measure(metric=metric, value=-1.0, n=n)
    is_high = threshold(metric).better == "higher"
    return rate(metric, n if is_high else 0, n)
