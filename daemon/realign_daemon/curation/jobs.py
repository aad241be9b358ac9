"""Jobs: the jobs that this node runs. Takes them in, runs them one at a time, and never forgets one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Generator
from contextlib import contextmanager, suppress

import structlog

from realign_daemon.curation import intake
from realign_daemon.curation.assignment import Assignment, JobNode
from realign_daemon.curation.endings import UNDECIDED
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.intake import Request
from realign_daemon.curation.job import Job, job_of
from realign_daemon.curation.job_queue import JobQueue
from realign_daemon.curation.limits import changed_limits
from realign_daemon.curation.record import JobRecord, JobState, StageRecord, record_to_json
from realign_daemon.curation.retry import retried
from realign_daemon.curation.sources import read_source
from realign_daemon.curation.spec import to_json
from realign_daemon.curation.survey import survey
from realign_daemon.curation.templates import load as load_templates
from realign_daemon.errors import BadInput, Full, NotFound, WrongState
from realign_daemon.housekeeping.folders import StoredFile
from realign_daemon.work.job_rows import StoredJob
from realign_planner.document import plan_document
from realign_planner.workflow import for_type

log = structlog.get_logger()

MOST_UNITS = 10_000_000  # of one job, where the node's owner says nothing else
ROOM_RETRY_S = 10.0  # how soon a job is tried again that the full disk has paused
CLOSING_S = 2.0  # how long a cancel waits for the files of what was made; they come in any case


class Jobs:
    """The jobs of this node. `run` must be running for anything to happen."""

    def __init__(self, node: JobNode, *, max_queued: int, max_units: int = MOST_UNITS) -> None:
        self._node = node
        self._max_queued = max_queued
        self._max_units = max_units
        self._jobs: dict[str, Job] = {}
        self._queue = JobQueue(node, self.all)
        self._cancelled = asyncio.Queue[Job]()  # each job is in it once at most

    async def load(self) -> None:
        """Takes up what the ledger holds. A job that was running goes on."""
        for stored in await self._node.ledger.jobs():
            self.take(stored)

    def take(self, stored: StoredJob, *, provisional: str = "") -> Job | None:
        """Runs a stored job from now on, unless it is here already; None where this version can't read it.

        `provisional` says why nothing that comes of it is final: its home is another node.
        """
        if (known := self._jobs.get(stored.job_id)) is not None:
            return known
        try:
            job = job_of(stored)
        except ValueError as error:
            log.warning("job.unreadable", job=stored.job_id, reason=str(error))
            return None
        if job.record.is_ended and not job.record.ended_unix_s:  # cancelled, and the daemon ended before it was written
            job.record.ended_unix_s = self._node.clock.unix()
            job.record.provisional = job.record.provisional or UNDECIDED
        if job.record.output and not self._node.output.has(job.spec.job_id, job.record.output):
            self._miss_files(job)
        job.record.provisional = provisional or (job.record.provisional if job.record.is_ended else "")
        self._jobs[stored.job_id] = job
        self._queue.wake()
        return job

    async def give_up(self, job: Job, text: str) -> None:
        """Forgets a job that another node runs from now on, and what was provisional of it. Its results stay.

        Raises:
            OSError: the provisional files could not be removed.
        """
        if self._jobs.get(job.spec.job_id) is not job:
            return
        del self._jobs[job.spec.job_id]
        self._tell(job, "moved", text)
        await _at_rest(job)
        await self._node.output.remove_provisional(job.spec.job_id)

    def _miss_files(self, job: Job) -> None:
        """Has the record of a job whose files are at another node, or gone, not name those of another job here."""
        record = job.record
        is_final = record.is_ended and not record.provisional
        record.output = self._node.output.final_folder(job.spec) if is_final else ""
        if record.provisional and record.is_ended and record.state not in ("cancelled", "failed"):
            record.state, record.ended_unix_s = "queued", 0.0

    async def run(self) -> None:
        """Runs queued jobs, oldest first, until cancelled; beside them writes what cancelled ones had made."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._queue.run(), name="jobs.queued")
            loops.create_task(self._close_cancelled(loops), name="jobs.cancelled")
            loops.create_task(self._try_for_room(), name="jobs.room")

    async def _try_for_room(self) -> None:
        """Has a job that the full disk paused tried again and again; it pauses again while there is no room."""
        while True:
            await self._node.clock.sleep(ROOM_RETRY_S)
            for job in self.all():
                if job.record.state == "paused" and job.record.paused_by == "disk":
                    job.record.state, job.record.error = "queued", ""
                    self._queue.wake()

    async def _close_cancelled(self, tasks: asyncio.TaskGroup) -> None:
        """Closes each at once: one whose voters give no answer keeps no other waiting."""
        while True:
            job = await self._cancelled.get()
            tasks.create_task(self._close(job), name=f"close.{job.spec.job_id}")

    async def _close(self, job: Job) -> None:
        if job.task is not None:
            await asyncio.wait({job.task})
        if self._jobs.get(job.spec.job_id) is job:
            await Assignment(self._node, job).close()
        job.closed.set()

    async def submit(self, request: Request, *, owner: str = "") -> Job:
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
        intake.check(request, plan, runnable=self._node.work)
        if request.earlier is not None and not self._node.blobs.has(request.earlier):
            message = "this node does not have the rows that the spec appends to; name their job with --append"
            raise BadInput(message)
        roles = intake.prepare_plan(request, self._node.colleagues.alive()).roles
        chunking = load_templates(roles["target"].templates).chunking
        node = self._node
        found = await survey(
            request, plan.data_type, lambda source: read_source(node.computations, node.blobs, source, chunking)
        )
        prepared = intake.prepare_plan(request, self._node.colleagues.alive(), passages=found.passages)
        intake.check_units(prepared.plan, most=self._max_units)
        now = self._node.clock.unix()
        spec = intake.freeze(
            request,
            prepared,
            job_id=f"{plan.data_type}-{node.random_bytes(4).hex()}",
            now_unix_s=now,
            version=self._node.version,
            frozen=self._node.freeze(prepared.roles),
            passages=found.passages,
        )
        stages = [StageRecord(name=s.name, title=s.title) for s in for_type(spec.data_type).stages]
        changed = changed_limits(request.thresholds, spec.data_type, version=self._node.version)
        warnings = [*filter(None, (changed,)), *prepared.plan.warnings, *found.warnings]
        record = JobRecord(stages=stages, plan=prepared.document, warnings=warnings)
        stored = await self._node.ledger.add_job(
            StoredJob(
                job_id=spec.job_id,
                client_token=request.client_token or node.random_bytes(16).hex(),
                spec=to_json(spec),
                record=record_to_json(record),
                created_unix_s=now,
                owner=owner,
                blobs=spec.files,
                voters=node.endings.living(),
            )
        )
        job = self.take(stored)  # an earlier one where the same submit came twice at once
        assert job is not None, "this version has just written it"
        log.info("job.submitted", job=stored.job_id, data_type=spec.data_type, sources=len(spec.sources))
        return job

    def wake(self) -> None:
        """Has looked again for a job to run."""
        self._queue.wake()

    def has(self, job_id: str) -> bool:
        """Whether the job of exactly this id is run here."""
        return job_id in self._jobs

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

    def owner_of(self, reference: str) -> str | None:
        """Who submitted the job that `find` gives; None where it gives none."""
        try:
            job = self.find(reference)
        except BadInput:
            return None
        return None if job is None else job.owner

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
        """Ends a job for good, and has what it made written. Ending an ended job changes nothing.

        Returns once it is written, or after CLOSING_S: a watcher hears of the end when the files are there.
        """
        job = self.get(reference)
        if not job.record.is_ended:
            job.record.state = "cancelled"  # first: neither `run` nor the run's own end may go on with it
            job.closed.clear()
            if job.task is not None:
                job.task.cancel()
            self._cancelled.put_nowait(job)
            await self._save_record(job)
            now, by = self._node.clock.unix(), self._node.node_id  # its home hears of it, or who is that from now on
            await self._node.ledger.ask_to_cancel(job.spec.job_id, job.claim, by=by, at_unix_s=now)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await job.closed.wait()
        return job

    async def pause(self, reference: str) -> Job:
        """Stops a job until it is resumed; a paused one stays as it is. Raises WrongState when it has ended."""
        job = self.get(reference)
        if job.record.is_ended:
            message = f"job {job.spec.job_id} is {job.record.state} and cannot be paused"
            raise WrongState(message)
        self._must_be_home(job)
        if job.record.state == "paused" and job.record.paused_by != "disk":
            return job
        job.record.state, job.record.paused_by = "paused", "hand"  # first: `run` must not start it again
        if job.task is not None:
            job.task.cancel()
            await asyncio.wait({job.task})
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

        A setting `count` is the number of rows wanted from now on: others take the room of dropped ones. Units that
        were given up are tried again: those of `from_stage` and later, or all.

        Raises:
            WrongState: the job has not ended.
            BadInput: an override without a reason, or a gate or stage that does not exist, or a useless setting.
        """
        job = self.get(reference)
        await job.closed.wait()
        if not job.record.is_ended:
            message = f"job {job.spec.job_id} is {job.record.state}; only a job that has ended is run again"
            raise WrongState(message)
        self._must_be_home(job)
        if job.record.state == "cancelled" and job.record.provisional:
            raise WrongState(f"the cancel of {job.spec.job_id} is not confirmed by its voters yet; try again later")
        wish = retried(job.spec, settings=settings, override=override, reason=reason, from_stage=from_stage)
        await self._node.ledger.forgive(job.spec.job_id, wish.stages)
        if not await self._node.endings.begin_next(job):
            raise WrongState(f"job {job.spec.job_id} has got another home; try again in a moment")
        if changed := changed_limits(job.spec.thresholds, job.spec.data_type, version=self._node.version):
            job.record.warnings[:] = dict.fromkeys((changed, *job.record.warnings))
        job.spec, job.record.provisional = wish.spec, ""
        await self._node.ledger.save_spec(job.spec.job_id, to_json(job.spec), of=job.claim)
        await self._set(job, "queued", f"{job.spec.job_id} is tried again")
        return job

    async def remove(self, reference: str, *, by: str) -> tuple[StoredFile, ...]:
        """Removes an ended job with its output folder, here and on every other node; the files that are gone.

        Raises:
            WrongState: the job has not ended.
            OSError: the folder could not be removed whole; the job is gone all the same.
        """
        job = self.get(reference)
        self._must_be_home(job)
        await job.closed.wait()
        job_id = job.spec.job_id
        if not job.record.is_ended:
            message = f"job {job_id} is {job.record.state}; end it first with `realignctl cancel {job_id}`"
            raise WrongState(message)
        await self._node.ledger.remove_job(job_id, by=by, at_unix_s=self._node.clock.unix())
        log.info("job.removed", job=job_id)
        return await self.bury([job_id])

    async def bury(self, job_ids: Collection[str]) -> tuple[StoredFile, ...]:
        """Forgets jobs that were removed on whichever node; their files here that are gone. One that runs is ended.

        Raises:
            OSError: a folder could not be removed whole.
        """
        for job in [self._jobs.pop(job_id) for job_id in job_ids if job_id in self._jobs]:
            if not job.record.is_ended:
                job.record.state = "cancelled"
                self._tell(job, "ended", f"{job.spec.job_id} was removed")
            await _at_rest(job)
        return await self._node.output.remove(job_ids)

    def _must_be_home(self, job: Job) -> None:
        if job.claim.home != self._node.node_id:
            job_id = job.spec.job_id
            raise WrongState(f"the home of {job_id} is away; `realignctl adopt {job_id}` makes this node its home")

    async def _set(self, job: Job, state: JobState, text: str) -> None:
        job.record.state = state
        job.record.ended_unix_s = 0.0
        await self._save_record(job)
        self._tell(job, "warning", text)
        self._queue.wake()

    def _tell(self, job: Job, kind: str, text: str) -> None:
        job.bulletin.post(JobNews(kind=kind, text=text, at_unix_s=self._node.clock.unix()))

    async def _save_record(self, job: Job) -> None:
        await self._node.ledger.save_record(job.spec.job_id, record_to_json(job.record), of=job.claim)


async def _at_rest(job: Job) -> None:
    """Returns once nothing writes for the job any more: neither its run, which ends, nor what follows its end."""
    if job.task is not None:
        job.task.cancel()
        await asyncio.wait({job.task})
    await job.closed.wait()
