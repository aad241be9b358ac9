"""Assignment: one job under way on its home: its pilot, its stages, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation import intake, summary
from realign_daemon.curation.colleague import Colleagues
from realign_daemon.curation.computations import Computations
from realign_daemon.curation.desk import Desk, Surroundings
from realign_daemon.curation.drops import without_dropped
from realign_daemon.curation.endings import UNDECIDED, Elsewhere, Endings, Final, Provisional
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.excerpts import Excerpts
from realign_daemon.curation.intake import Frozen
from realign_daemon.curation.job import Job
from realign_daemon.curation.limits import changed_limits
from realign_daemon.curation.material import Material
from realign_daemon.curation.output import Output
from realign_daemon.curation.pilot import run_pilot
from realign_daemon.curation.record import Decided, JobRecord, record_to_json
from realign_daemon.curation.roster import Roster
from realign_daemon.curation.run import WORK, Course, Ending, reset, run_stages
from realign_daemon.curation.selftest.suite import self_test
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.stages.work import Work
from realign_daemon.curation.turn import Turn
from realign_daemon.curation.written import some
from realign_daemon.decision.value import EndState
from realign_daemon.errors import RealignError
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.dispatcher import Dispatcher
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import UnitKey
from realign_daemon.worker.errors import WorkerError
from realign_planner.data_types import DataType
from realign_planner.errors import PlannerError
from realign_planner.gates import Verdict
from realign_planner.plan import Role

log = structlog.get_logger()


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
    endings: Endings
    freeze: Callable[[dict[Role, ModelPin]], Frozen]
    work: Mapping[DataType, Work] = field(default_factory=lambda: WORK)
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    reopen: Callable[[Sequence[ModelPin]], Awaitable[None]] | None = None  # asks again for what servers have of them


LOOK_EVERY_S = 0.25
FIRST_LOOKS = 20  # after a start other nodes are heard, and servers have answered, by then


class Moved(Exception):
    """The job has got another home: this run of it is of no use."""


class Assignment:
    """One run of one job, from the beginning: what is remembered passes at once."""

    def __init__(self, node: JobNode, job: Job) -> None:
        self._node = node
        self._job = job
        self._roster = Roster(node.colleagues, job, self._announce, node.clock)
        self._counted: set[UnitKey] = set()  # remembered results are counted anew as the stages pass over them

    async def run(self, turn: Turn) -> None:
        """Runs the job to an end and records it. Cancelled: the record is saved and the job can be run again.

        The turn has been taken, and is given for a while where the job waits for its models.
        """
        record, clock = self._job.record, self._node.clock
        record.state = "running"
        record.started_unix_s = clock.unix()
        record.began_unix_s = record.began_unix_s or record.started_unix_s
        try:
            await self._save("stage_started", f"{self._job.spec.job_id} is running")
            await self._work(turn)
        except asyncio.CancelledError:
            self._stop_watch()
            await self._save("progress", "")
            raise
        except Moved:
            pass
        except (RealignError, WorkerError, PlannerError) as error:
            await self._try_to_fail(str(error))
        except (sqlite3.OperationalError, OSError) as error:
            self._rest(error)
        except Exception:  # the boundary of a job: a defect in a stage must not take the daemon with it
            log.exception("job.crashed", job=self._job.spec.job_id)
            await self._try_to_fail("the job met a defect in realign; the daemon's log has the details")

    async def close(self) -> None:
        """Writes what a cancelled job has made, unless an earlier run left more; never fails."""
        job, record = self._job, self._job.record
        text = f"{job.spec.job_id} was cancelled"
        record.provisional = record.provisional or UNDECIDED
        try:
            record.decision = await self._settle("cancelled")
            if job.material is not None and _is_more(job.material, record):
                await self._close(job.material)
                text += f"; what it had made is in {record.output}"
        except Moved:
            pass  # who runs it now hears of the wish, and honours it
        except (RealignError, WorkerError, OSError, sqlite3.OperationalError) as error:
            record.error = f"what the cancelled job had made could not be written ({error}); `realignctl retry` goes on"
        except Exception:  # the boundary of a job
            log.exception("job.crashed", job=job.spec.job_id)
            record.error = "writing what the cancelled job had made met a defect in realign; see the daemon's log"
        job.material = None
        record.ended_unix_s = self._node.clock.unix()
        try:
            await self._save("ended", record.error or text)
        except sqlite3.OperationalError:  # the job stays cancelled as it was saved before
            log.exception("job.disk", job=job.spec.job_id)
            self._announce("ended", record.error or text)

    async def _close(self, material: Material) -> None:
        spec, record = self._job.spec, self._job.record
        material.rows, dropped = without_dropped(material.rows, spec.drops, stage="cancel")
        material.dropped.extend(dropped)
        desk = Desk(spec, record, self._surroundings(), counted=self._counted)
        await self._node.output.write(desk, material, state="cancelled")

    async def _work(self, turn: Turn) -> None:
        asking = asyncio.create_task(self._ask_servers(), name=f"servers.{self._job.spec.job_id}")
        try:
            await self._be_supplied(turn, asking)
            await self._run_stages()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _run_stages(self) -> None:
        await self._roster.measure()
        self._roster.plan()
        replanning = asyncio.create_task(self._roster.keep_planned(), name=f"replan.{self._job.spec.job_id}")
        try:
            await self._keep_in_sight()
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

    async def _be_supplied(self, turn: Turn, asking: asyncio.Task[None]) -> None:
        """Waits for the job's models, which servers may have, too; queued, as others may work meanwhile."""
        record = self._job.record
        await self._first_look()
        while not self._roster.is_supplied:
            self._stop_watch()
            record.state = "queued"
            turn.give()
            await asking
            await self._roster.be_supplied()
            await self._until_its_turn(turn)
            record.state, record.started_unix_s = "running", self._node.clock.unix()

    async def _ask_servers(self) -> None:
        pins = self._job.spec.pins
        if self._node.reopen is not None and any(pin.endpoint for pin in pins):
            await self._node.reopen(pins)

    async def _first_look(self) -> None:
        """Keeps the turn for a while where servers are about to answer, or nodes that had the models to be heard."""
        is_hopeful = self._job.record.pilot is not None or any(pin.endpoint for pin in self._job.spec.pins)
        looks = FIRST_LOOKS if is_hopeful else 0
        while looks and not self._roster.is_supplied:
            looks -= 1
            await self._node.clock.sleep(LOOK_EVERY_S)

    async def _until_its_turn(self, turn: Turn) -> None:
        stage = self._job.record.stages[0]
        stage.activity = "its models are here; it waits for its turn"
        self._announce("progress", "")
        try:
            await turn.take()
        finally:
            stage.activity = ""

    async def _keep_in_sight(self) -> None:
        """Has a new run show what the one before it made, until its stages have made theirs."""
        record = self._job.record
        if record.output and not record.exhibits:
            stages = [stage.name for stage in record.stages]
            with contextlib.suppress(OSError, ValueError, KeyError):  # somebody changed the files: nothing to show
                record.exhibits = await asyncio.to_thread(Excerpts().of_stages, Path(record.output), stages)

    def _course(self, *, is_pilot: bool = False) -> Course:
        """The way through the stages from the beginning, with nothing made yet."""
        spec, record = self._job.spec, self._job.record
        if self._job.material is not None:
            record.exhibits = some(self._job.material.exhibits) | record.exhibits
        self._job.material = Material()
        return Course(
            work=self._node.work[spec.data_type],
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
        reset(record, self._node.clock.unix())
        if is_new:
            record.state = "pilot"
            self._announce("stage_started", "Pilot")
        found, blocking = await run_pilot(course, volume=intake.volume(spec), plan=record.plan or {})
        if is_new or blocking:
            record.pilot = found
        if blocking:
            await self._end(course, Ending(blocked_by=blocking))
            return False
        if not is_new:
            return True
        for stage in record.stages:
            stage.started_unix_s = 0.0  # its times are the run's, not the pilot's
        expected = summary.duration(found["eta_s"])
        goes_on = spec.pilot == "go_on"
        record.state, record.paused_by = ("running", None) if goes_on else ("paused", "pilot")
        await self._checkpoint()
        if not goes_on:
            record.started_unix_s = 0.0
        then = "" if goes_on else f"; `realignctl resume {spec.job_id}` runs it"
        text = f"pilot done: the whole job is expected to take {expected} ({found['eta_basis']}){then}"
        await self._save("pilot", text)
        return goes_on

    async def _end(self, course: Course, ending: Ending) -> None:
        record, material = self._job.record, course.material
        state: EndState
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
        stages = [stage.name for stage in record.stages if stage.state in ("done", "blocked")]
        record.self_test = await self_test(course.desk, material, stages)
        few = "" if course.desk.is_pilot else too_few(record.gates)
        spec = course.desk.spec
        self._warn_first(few, changed_limits(spec.thresholds, spec.data_type, version=self._node.version))
        decision = await self._settle(state)
        await self._node.output.write(course.desk, material, state=state)
        self._stop_watch()
        record.state, record.decision = state, decision  # last: whoever sees it can fetch the files
        record.ended_unix_s = self._node.clock.unix()
        self._job.material = None  # it lies in the output folder now
        done = f"{self._job.spec.job_id} is complete: {record.output}"
        await self._save("ended", "; ".join(filter(None, (record.error or done, record.provisional, few))))

    async def _settle(self, state: EndState) -> Decided | None:
        """What was decided of the end, before it is written; None while that is provisional.

        Raises:
            Moved: the job is another node's.
        """
        job, record = self._job, self._job.record
        digest = await self._node.endings.manifest(job)
        match await self._node.endings.settle(job, state, digest):
            case Final(decision=decision):
                record.provisional, record.manifest = "", None
                return decision
            case Provisional(reason=reason):
                record.provisional, record.manifest = reason, digest
                return None
            case Elsewhere():
                job.is_moved = True
                log.info("job.moved", job=job.spec.job_id, reason="it has another home, or was removed")
                raise Moved

    def _warn_first(self, *texts: str) -> None:
        """Puts what must not be overlooked before the other warnings."""
        others = [text for text in self._job.record.warnings if text not in texts]
        self._job.record.warnings[:] = [*filter(None, texts), *others]

    def _rest(self, error: Exception) -> None:
        """The ledger or the output can't be written: nothing is lost, and nothing can be saved until there is room."""
        record = self._job.record
        self._stop_watch()
        record.state, record.paused_by = "paused", "disk"
        record.error = f"the home's disk can't be written ({error}): free some space, then `realignctl resume`"
        log.error("job.disk", job=self._job.spec.job_id, reason=str(error))
        self._announce("warning", record.error)

    async def _checkpoint(self) -> None:
        """Saves the record with the time worked so far."""
        self._stop_watch()
        self._job.record.started_unix_s = self._node.clock.unix()
        if self._job.material is not None:
            self._job.record.exhibits |= some(self._job.material.exhibits)
        await self._save("progress", "")

    async def _try_to_fail(self, error: str) -> None:
        try:
            with contextlib.suppress(Moved):
                await self._fail(error)
        except sqlite3.OperationalError as full:
            self._rest(full)

    async def _fail(self, error: str) -> None:
        record = self._job.record
        decision = await self._settle("failed")
        self._stop_watch()
        record.state, record.error, record.decision = "failed", error, decision
        record.ended_unix_s = self._node.clock.unix()
        self._job.material = None
        await self._save("ended", error)

    def _stop_watch(self) -> None:
        record = self._job.record
        record.worked_s = record.worked_for_s(self._node.clock.unix())
        record.started_unix_s = 0.0

    def _surroundings(self) -> Surroundings:
        node = self._node
        return Surroundings(
            dispatcher=node.dispatcher,
            ledger=node.ledger,
            blobs=node.blobs,
            computations=node.computations,
            crew=lambda pin, trains: self._roster.living(pin.model, trains=trains),
            group_lost=self._roster.group_lost,
            home=node.node_id,
            node_names=lambda: {c.node_id: c.facts.name for c in node.colleagues.alive()},
            changed=lambda: self._announce("progress", ""),
        )

    def _announce(self, kind: str, text: str) -> None:
        self._job.bulletin.post(JobNews(kind=kind, text=text, at_unix_s=self._node.clock.unix()))
        if kind != "progress":
            log.info("job.news", kind=kind, job=self._job.spec.job_id, detail=text)

    async def _save(self, kind: str, text: str) -> None:
        job = self._job
        await self._node.ledger.save_record(job.spec.job_id, record_to_json(job.record), of=job.claim)
        self._announce(kind, text)


def too_few(verdicts: Sequence[Verdict]) -> str:
    """How many gates could judge nothing, and which; empty where all could."""
    few = [verdict.metric for verdict in verdicts if verdict.tier == "INSUFFICIENT"]
    if not few:
        return ""
    return (
        f"{len(few)} of {len(verdicts)} gates had too few data to judge by ({', '.join(few)}): "
        "give more sources or a higher --count"
    )


def _is_more(material: Material, record: JobRecord) -> bool:
    """Whether there is anything in the material, and no fewer rows than an earlier run of the job wrote."""
    earlier: Mapping[str, int] = (record.summary or {}).get("output", {}) if record.output else {}
    rows_before = sum(earlier.get(name, 0) for name in ("examples", "held_out_examples"))
    return bool(material.rows or material.dropped or material.exhibits) and len(material.rows) >= rows_before
