"""Assignment: one job under way on its home: measures, plans, runs the stages, plans again when nodes come or go."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation import intake, summary
from realign_daemon.curation.colleague import Colleague, Colleagues
from realign_daemon.curation.computations import Computations
from realign_daemon.curation.desk import Desk, Surroundings
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.intake import Frozen, Request
from realign_daemon.curation.job import Job
from realign_daemon.curation.material import Material
from realign_daemon.curation.output import Output
from realign_daemon.curation.pilot import run_pilot
from realign_daemon.curation.record import JobState, record_to_json
from realign_daemon.curation.run import WORK, Course, Ending, reset, run_stages
from realign_daemon.curation.selftest.suite import self_test
from realign_daemon.curation.spec import JobSpec, ModelPin
from realign_daemon.errors import BadInput, NothingFits, RealignError
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.dispatcher import Crew, Dispatcher
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import UnitKey
from realign_daemon.worker.errors import WorkerError
from realign_planner.errors import PlannerError
from realign_planner.plan import Role

log = structlog.get_logger()

MEASURE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNode:
    """What jobs need of the node they are homed on."""

    node_id: str
    version: str
    ledger: Ledger
    blobs: BlobStore
    computations: Computations
    dispatcher: Dispatcher
    colleagues: Colleagues
    clock: Clock
    output: Output
    freeze: Callable[[dict[Role, ModelPin]], Frozen]


class Assignment:
    """One run of one job, from the beginning: what is remembered passes at once."""

    def __init__(self, node: JobNode, job: Job) -> None:
        self._node = node
        self._job = job
        self._crew: tuple[tuple[str, float], ...] = ()  # node id, examples per second that the plan assumed
        self._counted: set[UnitKey] = set()  # remembered results are counted anew as the stages pass over them

    async def run(self) -> None:
        """Runs the job to an end and records it. Cancelled: the record is saved and the job can be run again."""
        record, clock = self._job.record, self._node.clock
        record.state = "running"
        record.started_unix_s = clock.unix()
        try:
            await self._save("stage_started", f"{self._job.spec.job_id} is running")
            await self._work()
        except asyncio.CancelledError:
            self._stop_watch()
            await self._save("warning", f"{self._job.spec.job_id} stopped for now")
            raise
        except (RealignError, WorkerError, PlannerError) as error:
            await self._fail(str(error))
        except (sqlite3.OperationalError, OSError) as error:
            self._rest(error)
        except Exception:  # the boundary of a job: a defect in a stage must not take the daemon with it
            log.exception("job.crashed", job=self._job.spec.job_id)
            await self._fail("the job met a defect in realign; the daemon's log has the details")

    async def _work(self) -> None:
        await self._measure()
        self._plan()
        replanning = asyncio.create_task(self._keep_planned(), name=f"replan.{self._job.spec.job_id}")
        try:
            self._job.record.nodes.clear()
            self._job.record.reused = 0
            if not await self._pilot():
                return
            course = self._course()
            ending = await run_stages(course, checkpoint=self._checkpoint)
            await self._end(course, ending)
        finally:
            replanning.cancel()
            await asyncio.gather(replanning, return_exceptions=True)

    def _course(self, *, is_pilot: bool = False) -> Course:
        """The way through the stages from the beginning, with nothing made yet."""
        spec = self._job.spec
        self._job.material = Material()
        return Course(
            work=WORK[spec.data_type],
            desk=Desk(spec, self._job.record, self._surroundings(), counted=self._counted, is_pilot=is_pilot),
            material=self._job.material,
            clock=self._node.clock,
            announce=self._announce,
        )

    async def _pilot(self) -> bool:
        """Runs the pilot; whether the job goes on at once.

        One that let the job pass before is passed over again for its counts: all its results are remembered.
        """
        spec, record = self._job.spec, self._job.record
        is_new = record.pilot is None or bool(record.pilot["rejects"])
        course = self._course(is_pilot=True)
        reset(record)
        if is_new:
            record.state = "pilot"
            self._announce("stage_started", "Pilot")
        found, blocking = await run_pilot(
            course, rows=spec.count or max(spec.passages, 1), predicted=(record.plan or {})["predicted"]
        )
        if is_new or blocking:
            record.pilot = found
        if blocking:
            await self._end(course, Ending(blocked_by=blocking))
            return False
        if not is_new:
            return True
        expected = summary.duration(found["eta_s"])
        goes_on = spec.pilot == "go_on"
        record.state = "running" if goes_on else "paused"
        await self._checkpoint()
        if not goes_on:
            record.started_unix_s = 0.0
        then = "" if goes_on else f"; `realignctl resume {spec.job_id}` runs it"
        await self._save("pilot", f"pilot done: the whole job is expected to take {expected}{then}")
        return goes_on

    async def _end(self, course: Course, ending: Ending) -> None:
        record, material = self._job.record, course.material
        state: JobState
        if ending.blocked_by:
            state = "blocked"
            first = ending.blocked_by[0]
            seen = "in the pilot" if course.desk.is_pilot else f"after {first.stage}"
            record.error = f"the gate {first.metric} rejects {seen}: {first.remedy}"
        elif ending.is_empty:
            state = "failed"
            reasons = Counter(one.reason for one in material.dropped).most_common(1)
            most = "".join(f", {count} times because {reason}" for reason, count in reasons)
            record.error = (
                f"no training row came of {len(material.chunks) + len(material.records)} passages{most}: "
                "rejected.jsonl says why of each; give more or other sources"
            )
        else:
            state = "completed_with_errors" if ending.has_errors else "completed"
        done = [stage.name for stage in record.stages if stage.state in ("done", "blocked")]
        record.self_test = await self_test(course.desk, material, done)
        await self._node.output.write(course.desk, material)
        self._stop_watch()
        record.state = state  # last: whoever sees it can fetch the files
        record.ended_unix_s = self._node.clock.unix()
        self._job.material = None  # it lies in the output folder now
        await self._save("ended", record.error or f"{self._job.spec.job_id} is complete: {record.output}")

    def _rest(self, error: Exception) -> None:
        """The ledger or the output can't be written: nothing is lost, and nothing can be saved until there is room."""
        record = self._job.record
        self._stop_watch()
        record.state = "paused"
        record.error = f"the home's disk can't be written ({error}): free some space, then `realignctl resume`"
        log.error("job.disk", job=self._job.spec.job_id, reason=str(error))
        self._announce("warning", record.error)

    async def _checkpoint(self) -> None:
        """Saves the record with the time worked so far."""
        self._stop_watch()
        self._job.record.started_unix_s = self._node.clock.unix()
        await self._save("progress", "")

    async def _fail(self, error: str) -> None:
        record = self._job.record
        self._stop_watch()
        record.state, record.error, record.ended_unix_s = "failed", error, self._node.clock.unix()
        await self._save("ended", error)

    def _stop_watch(self) -> None:
        record = self._job.record
        record.worked_s += max(0.0, self._node.clock.unix() - record.started_unix_s)
        record.started_unix_s = 0.0

    async def _measure(self) -> None:
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
            *(asyncio.wait_for(self._node.colleagues.measure(node, name), MEASURE_TIMEOUT_S) for node, name in wanted),
            return_exceptions=True,
        )
        for (node, name), outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, Exception):  # a prior serves; the run itself will show the speed
                log.warning("job.unmeasured", job=self._job.spec.job_id, node=node, model=name, reason=str(outcome))

    def _able(self) -> list[Colleague]:
        needs = {pin.model for pin in self._job.spec.pins}
        return [peer for peer in self._node.colleagues.alive() if all(peer.holds(model) for model in needs)]

    def _plan(self) -> None:
        """Plans over the living nodes. Keeps the plan in force when no living node will do."""
        alive = self._node.colleagues.alive()
        ids = {colleague.facts.name: colleague.node_id for colleague in alive}
        try:
            prepared = intake.prepare_plan(request_of(self._job.spec), alive, passages=self._job.spec.passages)
        except (NothingFits, BadInput) as error:
            self._crew = ()
            self._warn(f"no living node can go on: {error}")
            return
        crew = tuple((ids[node.name], node.examples_per_s or 0.0) for node in prepared.plan.nodes)
        before = {node for node, _ in self._crew}
        self._crew = crew
        self._job.record.plan = prepared.document
        if before and before != {node for node, _ in crew}:
            names = ", ".join(node.name for node in prepared.plan.nodes)
            self._announce("replanned", f"planned again: {names}")

    def _warn(self, text: str) -> None:
        if text not in self._job.record.warnings:
            self._job.record.warnings.append(text)
            self._announce("warning", text)

    async def _keep_planned(self) -> None:
        async for _ in self._node.colleagues.changes():
            self._plan()

    def _living_crew(self) -> Sequence[Crew]:
        alive = {colleague.node_id for colleague in self._node.colleagues.alive()}
        crew = [Crew(node=node, examples_per_s=speed) for node, speed in self._crew if node in alive]
        for node_id, node in self._job.record.nodes.items():
            node.state = "working" if node_id in {c.node for c in crew} else "lost"
        return crew

    def _surroundings(self) -> Surroundings:
        node = self._node
        return Surroundings(
            dispatcher=node.dispatcher,
            ledger=node.ledger,
            blobs=node.blobs,
            computations=node.computations,
            crew=self._living_crew,
            home=node.node_id,
            node_names=lambda: {c.node_id: c.facts.name for c in node.colleagues.alive()},
            changed=lambda: self._announce("progress", ""),
        )

    def _announce(self, kind: str, text: str) -> None:
        self._job.bulletin.post(JobNews(kind=kind, text=text, at_unix_s=self._node.clock.unix()))
        if kind != "progress":
            log.info("job.news", kind=kind, job=self._job.spec.job_id, detail=text)

    async def _save(self, kind: str, text: str) -> None:
        await self._node.ledger.save_record(self._job.spec.job_id, record_to_json(self._job.record))
        self._announce(kind, text)


def request_of(spec: JobSpec) -> Request:
    """The request that plans a frozen spec again: every role by the weights it is pinned to."""
    return Request(
        text=spec.request,
        data_type=spec.data_type,
        target=spec.roles["target"].name,
        generator=spec.roles["generator"].name,
        judge=spec.roles["judge"].name,
        judges=tuple(pin.name for pin in spec.judges),
        count=spec.count,
        seed=spec.seed,
        nodes=spec.nodes,
        exclude_nodes=spec.exclude_nodes,
        until=spec.until or "",
    )
