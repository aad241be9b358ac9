"""Jobs: the jobs homed on this node. Takes them in, runs them one at a time, and never forgets one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import structlog

from realign_daemon.curation import intake
from realign_daemon.curation.assignment import Assignment, JobNode
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.intake import Request
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import JobRecord, JobState, StageRecord, record_from_json, record_to_json
from realign_daemon.curation.run import WORK
from realign_daemon.curation.sources import read_source
from realign_daemon.curation.spec import spec_from_json, to_json, with_changes
from realign_daemon.curation.templates import load as load_templates
from realign_daemon.errors import BadInput, Full, NotFound, WrongState
from realign_daemon.work.ledger import StoredJob
from realign_planner.document import plan_document
from realign_planner.workflow import for_type

log = structlog.get_logger()

RUNNABLE: frozenset[JobState] = frozenset({"queued", "running"})


class Jobs:
    """The jobs of this node. `run` must be running for anything to happen."""

    def __init__(self, node: JobNode, *, max_queued: int) -> None:
        self._node = node
        self._max_queued = max_queued
        self._jobs: dict[str, Job] = {}
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Takes up what the ledger holds. A job that was running goes on."""
        for stored in await self._node.ledger.jobs():
            try:
                spec, record = spec_from_json(stored.spec), record_from_json(stored.record)
            except ValueError as error:
                log.warning("job.unreadable", job=stored.job_id, reason=str(error))
                continue
            self._jobs[stored.job_id] = Job(spec=spec, record=record, client_token=stored.client_token)
        self._wake.set()

    async def run(self) -> None:
        """Runs queued jobs, oldest first, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (job := self._next()) is not None:
                job.task = asyncio.create_task(Assignment(self._node, job).run(), name=f"job.{job.spec.job_id}")
                try:
                    await asyncio.wait({job.task})
                except asyncio.CancelledError:
                    job.task.cancel()
                    await asyncio.gather(job.task, return_exceptions=True)
                    raise
                job.task = None

    async def submit(self, request: Request) -> Job:
        """A new job, or the earlier one of the same client token. Its sources must be in the blob store.

        Raises:
            BadInput, Ambiguous, NothingFits, Full: each with one sentence.
        """
        earlier = next((job for job in self._jobs.values() if job.client_token == request.client_token), None)
        if earlier is not None and request.client_token:
            return earlier
        if sum(job.record.state == "queued" for job in self._jobs.values()) >= self._max_queued:
            message = f"{self._max_queued} jobs are queued here already; cancel one or wait"
            raise Full(message)
        plan = intake.preview(request, self._node.colleagues.alive())
        intake.check(request, plan, runnable=WORK)
        roles = intake.prepare_plan(request, self._node.colleagues.alive()).roles
        passages = await self._read(request, roles["target"].templates)
        prepared = intake.prepare_plan(request, self._node.colleagues.alive(), passages=passages)
        now = self._node.clock.unix()
        spec = intake.freeze(
            request,
            prepared,
            job_id=f"{plan.data_type}-{secrets.token_hex(4)}",
            now_unix_s=now,
            version=self._node.version,
            frozen=self._node.freeze(prepared.roles),
            passages=passages,
        )
        stages = [StageRecord(name=s.name, title=s.title) for s in for_type(spec.data_type).stages]
        record = JobRecord(stages=stages, plan=prepared.document, warnings=list(prepared.plan.warnings))
        job = Job(spec=spec, record=record, client_token=request.client_token or secrets.token_hex(16))
        stored = await self._node.ledger.add_job(
            StoredJob(
                job_id=spec.job_id,
                client_token=job.client_token,
                spec=to_json(spec),
                record=record_to_json(record),
                created_unix_s=now,
            )
        )
        if stored.job_id != spec.job_id:  # the same submit came twice at once, and the other was first
            return self._jobs[stored.job_id]
        self._jobs[spec.job_id] = job
        log.info("job.submitted", job=spec.job_id, data_type=spec.data_type, sources=len(spec.sources))
        self._wake.set()
        return job

    def plan(self, request: Request) -> tuple[dict[str, object], bool]:
        """The plan document for a request on the living nodes, and whether it fits. Changes nothing."""
        plan = intake.preview(request, self._node.colleagues.alive())
        return plan_document(plan), plan.fits

    def all(self) -> tuple[Job, ...]:
        """Every job homed here, oldest first."""
        return tuple(sorted(self._jobs.values(), key=lambda job: (job.spec.created_unix_s, job.spec.job_id)))

    def find(self, reference: str) -> Job | None:
        """The job of that id or unambiguous beginning of one; None when it is not homed here.

        Raises:
            BadInput: several jobs begin so.
        """
        if reference in self._jobs:
            return self._jobs[reference]
        found = [job for job_id, job in self._jobs.items() if reference and job_id.startswith(reference)]
        if len(found) > 1:
            message = f"{len(found)} jobs begin with {reference!r}; give more of the id"
            raise BadInput(message)
        return found[0] if found else None

    def get(self, reference: str) -> Job:
        """Like find. Raises NotFound."""
        job = self.find(reference)
        if job is None:
            message = f"there is no job {reference!r}; `realignctl jobs` lists them"
            raise NotFound(message)
        return job

    @contextmanager
    def watch(self, job: Job) -> Generator[AsyncIterator[JobNews]]:
        """The job's news from now on."""
        with job.bulletin.watch() as news:
            yield news

    async def cancel(self, reference: str) -> Job:
        """Ends a job for good; what it made is kept. Ending an ended job changes nothing."""
        job = self.get(reference)
        if not job.record.is_ended:
            await self._stop(job, "cancelled")
            await self._set(job, "cancelled", f"{job.spec.job_id} was cancelled")
        return job

    async def pause(self, reference: str) -> Job:
        """Stops a job until it is resumed. Raises WrongState when it has ended."""
        job = self.get(reference)
        if job.record.is_ended:
            message = f"job {job.spec.job_id} is {job.record.state} and cannot be paused"
            raise WrongState(message)
        await self._stop(job, "paused")
        await self._set(job, "paused", f"{job.spec.job_id} is paused; resume it with `realignctl resume`")
        return job

    async def resume(self, reference: str) -> Job:
        """Lets a paused job go on. Raises WrongState when it is not paused."""
        job = self.get(reference)
        if job.record.state != "paused":
            message = f"job {job.spec.job_id} is {job.record.state}, not paused"
            raise WrongState(message)
        await self._set(job, "queued", f"{job.spec.job_id} goes on")
        return job

    async def retry(
        self, reference: str, *, settings: dict[str, str], override: str, reason: str, from_stage: str
    ) -> Job:
        """Runs an ended job again with other settings or an overridden gate; results that still fit are reused.

        Units that were given up are tried again: those of `from_stage` and later, or all.

        Raises:
            WrongState: the job has not ended or has completed.
            BadInput: an override without a reason, or a gate or stage that does not exist.
        """
        job = self.get(reference)
        if not job.record.is_ended or job.record.state.startswith("completed"):
            message = f"job {job.spec.job_id} is {job.record.state}; only a blocked, failed or cancelled job is retried"
            raise WrongState(message)
        workflow = for_type(job.spec.data_type)
        if from_stage and workflow.stage(from_stage) is None:
            message = f"there is no stage {from_stage!r}; the stages are {', '.join(s.name for s in workflow.stages)}"
            raise BadInput(message)
        gates = [metric for stage in workflow.stages for metric in stage.gates]
        if override and (override not in gates or not reason):
            message = f"an override needs a gate of this workflow ({', '.join(gates)}) and a --reason"
            raise BadInput(message)
        intake.check_settings(settings)
        stages = [stage.name for stage in workflow.stages]
        await self._node.ledger.forgive(job.spec.job_id, stages[stages.index(from_stage) :] if from_stage else stages)
        job.spec = with_changes(job.spec, settings=settings, overrides={override: reason} if override else {})
        await self._node.ledger.save_spec(job.spec.job_id, to_json(job.spec))
        await self._set(job, "queued", f"{job.spec.job_id} is tried again")
        return job

    async def _read(self, request: Request, templates: str) -> int:
        """The number of passages in all sources. A bad file is refused here, before anything is promised."""
        chunking = load_templates(templates).chunking
        readings = [
            await read_source(self._node.computations, self._node.blobs, source, chunking) for source in request.sources
        ]
        return sum(len(reading.chunks) for reading in readings)

    def _next(self) -> Job | None:
        return next((job for job in self.all() if job.record.state in RUNNABLE), None)

    async def _stop(self, job: Job, state: JobState) -> None:
        """Ends the job's task, if it is the one that runs. The state is set first: `run` must not start it again."""
        job.record.state = state
        task = job.task
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _set(self, job: Job, state: JobState, text: str) -> None:
        job.record.state = state
        job.record.ended_unix_s = self._node.clock.unix() if job.record.is_ended else 0.0
        await self._node.ledger.save_record(job.spec.job_id, record_to_json(job.record))
        job.bulletin.post(
            JobNews(kind="ended" if job.record.is_ended else "warning", text=text, at_unix_s=self._node.clock.unix())
        )
        self._wake.set()
