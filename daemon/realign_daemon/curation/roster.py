"""Roster: the nodes that one job's plan counts on: measured first, and planned again when nodes come or go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from realign_daemon.curation import intake
from realign_daemon.curation.colleague import Colleague, Colleagues
from realign_daemon.curation.job import Job
from realign_daemon.errors import BadInput, NothingFits
from realign_daemon.work.dispatcher import Crew

log = structlog.get_logger()

MEASURE_TIMEOUT_S = 120.0


class Roster:
    """Keeps the plan in the job's record to what the living nodes can do."""

    def __init__(self, colleagues: Colleagues, job: Job, announce: Callable[[str, str], None]) -> None:
        """`announce` takes the kind of an event and one line for people."""
        self._colleagues = colleagues
        self._job = job
        self._announce = announce
        self._crew: tuple[tuple[str, float], ...] = ()  # node id, examples per second that the plan assumed
        self._planned_over: frozenset[str] = frozenset()

    async def measure(self) -> None:
        """Has every node that could work, and never measured this job's models, measure them now."""
        pins = {pin.name: pin.model for pin in self._job.spec.pins}
        wanted = [
            (colleague.node_id, name)
            for colleague in self._able()
            for name, model in pins.items()
            if not colleague.has_measured(model)
        ]
        if wanted:
            self._announce("progress", "measuring the nodes")
        outcomes = await asyncio.gather(
            *(asyncio.wait_for(self._colleagues.measure(node, name), MEASURE_TIMEOUT_S) for node, name in wanted),
            return_exceptions=True,
        )
        for (node, name), outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, Exception):  # a prior serves; the run itself will show the speed
                log.warning("job.unmeasured", job=self._job.spec.job_id, node=node, model=name, reason=str(outcome))

    def plan(self) -> None:
        """Plans over the living nodes. Keeps the plan in force when no living node will do."""
        alive = self._colleagues.alive()
        self._planned_over = _working(alive)
        ids = {colleague.facts.name: colleague.node_id for colleague in alive}
        spec, record = self._job.spec, self._job.record
        try:
            prepared = intake.prepare_plan(intake.request_of(spec), alive, passages=spec.passages)
        except (NothingFits, BadInput) as error:
            self._crew = ()
            self._warn(f"no living node can go on: {error}")
            return
        crew = tuple((ids[node.name], node.examples_per_s or 0.0) for node in prepared.plan.nodes)
        before = {node for node, _ in self._crew}
        self._crew = crew
        record.plan = prepared.document
        if before and before != {node for node, _ in crew}:
            names = ", ".join(node.name for node in prepared.plan.nodes)
            self._announce("replanned", f"planned again: {names}")

    async def keep_planned(self) -> None:
        """Plans again whenever a node has come or gone, until cancelled."""
        async for _ in self._colleagues.changes():
            self.plan()

    def living(self) -> Sequence[Crew]:
        """The nodes of the plan that are alive; the record says of each node whether it is one.

        Asked again and again, so it is here that a pause of a node is noticed, which nobody announces.
        """
        colleagues = self._colleagues.alive()
        if _working(colleagues) != self._planned_over:
            self.plan()
        alive = {colleague.node_id for colleague in colleagues}
        crew = [Crew(node=node, examples_per_s=speed) for node, speed in self._crew if node in alive]
        for node_id, node in self._job.record.nodes.items():
            node.state = "working" if node_id in {c.node for c in crew} else "lost"
        return crew

    def _able(self) -> list[Colleague]:
        needs = {pin.model for pin in self._job.spec.pins}
        willing = (peer for peer in self._colleagues.alive() if not peer.facts.paused)
        return [peer for peer in willing if all(peer.holds(model) for model in needs)]

    def _warn(self, text: str) -> None:
        if text not in self._job.record.warnings:
            self._job.record.warnings.append(text)
            self._announce("warning", text)


def _working(colleagues: Sequence[Colleague]) -> frozenset[str]:
    return frozenset(colleague.node_id for colleague in colleagues if not colleague.facts.paused)
