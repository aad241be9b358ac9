"""Jobs: the jobs homed on this node. Takes them in, runs them one at a time, and never forgets one."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from realign_daemon.curation import intake
from realign_daemon.curation.assignment import Assignment, JobNode
from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.drops import with_whole_ids, without_dropped
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.fields import check_columns, check_given
from realign_daemon.curation.intake import Request
from realign_daemon.curation.job import Job
from realign_daemon.curation.material import Row
from realign_daemon.curation.record import JobRecord, JobState, StageRecord, record_from_json, record_to_json
from realign_daemon.curation.run import WORK
from realign_daemon.curation.settings import check_settings
from realign_daemon.curation.sources import read_source
from realign_daemon.curation.spec import SourceSpec, spec_from_json, to_json, with_changes
from realign_daemon.curation.templates import load as load_templates
from realign_daemon.curation.written import Item, Written, of_folder, of_material, spread_out
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full, NotFound, WrongState
from realign_daemon.work.ledger import StoredJob
from realign_planner.data_types import DataType
from realign_planner.document import plan_document
from realign_planner.workflow import for_type

log = structlog.get_logger()

MOST_SAMPLES = 1000  # of a look at the data: what one message holds without fear
RUNNABLE: frozenset[JobState] = frozenset({"queued", "pilot", "running"})


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
        passages, warnings = await self._read(request, plan.data_type, roles["target"].templates)
        rows_before = await self._rows_before(request)
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
            earlier=rows_before,
        )
        stages = [StageRecord(name=s.name, title=s.title) for s in for_type(spec.data_type).stages]
        record = JobRecord(stages=stages, plan=prepared.document, warnings=[*prepared.plan.warnings, *warnings])
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
            WrongState: the job has not ended.
            BadInput: an override without a reason, or a gate or stage that does not exist.
        """
        job = self.get(reference)
        if not job.record.is_ended:
            message = f"job {job.spec.job_id} is {job.record.state}; only a job that has ended is run again"
            raise WrongState(message)
        workflow = for_type(job.spec.data_type)
        if from_stage and workflow.stage(from_stage) is None:
            message = f"there is no stage {from_stage!r}; the stages are {', '.join(s.name for s in workflow.stages)}"
            raise BadInput(message)
        gates = [metric for stage in workflow.stages for metric in stage.gates]
        if override and (override not in gates or not reason):
            message = f"an override needs a gate of this workflow ({', '.join(gates)}) and a --reason"
            raise BadInput(message)
        check_settings(settings)
        stages = [stage.name for stage in workflow.stages]
        await self._node.ledger.forgive(job.spec.job_id, stages[stages.index(from_stage) :] if from_stage else stages)
        job.spec = with_changes(job.spec, settings=settings, overrides={override: reason} if override else {})
        await self._node.ledger.save_spec(job.spec.job_id, to_json(job.spec))
        await self._set(job, "queued", f"{job.spec.job_id} is tried again")
        return job

    async def sample(self, reference: str, *, n: int, stage: str, rejected: bool) -> tuple[str, int, list[Item]]:
        """Some of what a job has made, evenly over all of it: what the items are, how many there are, and these.

        Raises:
            BadInput: the workflow has no such stage.
        """
        job = self.get(reference)
        names = [one.name for one in job.record.stages]
        if stage and stage not in names:
            message = f"there is no stage {stage!r}; the stages are {', '.join(names)}"
            raise BadInput(message)
        name, items = (await self._written(job)).items(stage=stage, rejected=rejected)
        return name, len(items), spread_out(items, min(n, MOST_SAMPLES))

    async def explain(self, reference: str, row: str) -> Row:
        """The row of that id, or of an unambiguous beginning of one. Raises NotFound, BadInput."""
        job = self.get(reference)
        found = [one for one in (await self._written(job)).rows if str(one.fields["id"]).startswith(row)]
        if not found or not row:
            message = f"job {job.spec.job_id} has no row {row!r}; `realignctl sample {job.spec.job_id}` shows ids"
            raise NotFound(message)
        if len(found) > 1:
            message = f"{len(found)} rows of job {job.spec.job_id} begin with {row!r}; give more of the id"
            raise BadInput(message)
        return found[0]

    async def drop(self, reference: str, conditions: Sequence[str]) -> tuple[int, Job]:
        """Takes the rows that the conditions hold for out of an ended job's output; how many they were, and the job.

        The adapter stays as it is: it has learned from them, and the summary says so. A retry trains without them.

        Raises:
            BadInput: a condition that is none, the beginning of several rows' ids, or no row that meets any.
            WrongState: the job runs, or has no output that is as it wrote it.
        """
        job = self.get(reference)
        if not job.record.is_ended or not job.record.output:
            message = f"job {job.spec.job_id} is {job.record.state}; rows are dropped from a job that has ended"
            raise WrongState(message)
        written = await _of_output(job)
        conditions = with_whole_ids(conditions, written.rows)
        kept, dropped = without_dropped(written.rows, conditions, stage="drop")
        if not dropped:
            message = f"no row of job {job.spec.job_id} is meant by {', '.join(conditions)}; nothing was changed"
            raise BadInput(message)
        job.spec = with_changes(job.spec, drops=conditions)
        if job.record.adapter:
            note = "rows were dropped after the training: the adapter has learned from them"
            job.record.warnings[:] = dict.fromkeys((*job.record.warnings, note))
        rest = replace(written, rows=tuple(kept), dropped=(*written.dropped, *dropped))
        await self._node.output.put(job.spec, job.record, rest)
        await self._node.ledger.save_spec(job.spec.job_id, to_json(job.spec))
        await self._node.ledger.save_record(job.spec.job_id, record_to_json(job.record))
        return len(dropped), job

    async def _written(self, job: Job) -> Written:
        """What the job has made: on its desk until it has written it, else in its output folder.

        Raises:
            WrongState: there is nothing to look at, or the files are not what it wrote.
        """
        if job.material is not None and not (job.record.is_ended and job.record.output):
            return of_material(job.material)
        if not job.record.output:
            message = f"job {job.spec.job_id} is {job.record.state} and there is nothing of it to look at"
            raise WrongState(message)
        return await _of_output(job)

    async def _read(self, request: Request, data_type: DataType, templates: str) -> tuple[int, list[str]]:
        """The number of passages and records in all sources, and a warning for each that is of no use.

        Raises:
            BadInput: no source at all is of use, or a file that is no source (data, evaluation sets) is not; a column
                that the request names is in no record.
        """
        chunking = load_templates(templates).chunking
        for source in request.eval_sets:
            await self._reading(source, chunking)
        if request.data is not None:
            given = await self._reading(request.data, chunking)
            check_given(request.data.name, [one.fields for one in given.records], request.columns, data_type)
            return len(given.records), []
        passages, records, refusals = 0, list[Mapping[str, str]](), list[BadInput]()
        for source in request.sources:
            try:
                reading = await self._reading(source, chunking)
            except BadInput as error:
                refusals.append(error)
                continue
            passages += len(reading.chunks)
            records += [one.fields for one in reading.records]
        if len(refusals) == len(request.sources):
            raise refusals[0]
        if records:
            check_columns("the sources", records, request.columns)
        return passages, [str(refusal) for refusal in refusals]

    async def _reading(self, source: SourceSpec, chunking: Chunking) -> Reading:
        return await read_source(self._node.computations, self._node.blobs, source, chunking)

    async def _rows_before(self, request: Request) -> Sha256 | None:
        """The rows of the job to append to, as a blob.

        Raises:
            NotFound, BadInput, WrongState: there is no such job here, or it has no rows yet, or not as it wrote them.
        """
        if not request.append:
            if request.earlier is not None and not self._node.blobs.has(request.earlier):
                message = "this node does not have the rows that the spec appends to; name their job with --append"
                raise BadInput(message)
            return request.earlier
        job = self.get(request.append)
        if not job.record.output:
            message = f"job {job.spec.job_id} has written no rows yet; append to it when it has ended"
            raise BadInput(message)
        rows = (await _of_output(job)).rows
        return self._node.blobs.put_bytes("".join(json.dumps(row.fields) + "\n" for row in rows).encode())

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


async def _of_output(job: Job) -> Written:
    try:
        return await asyncio.to_thread(of_folder, Path(job.record.output))
    except (OSError, ValueError, KeyError) as error:
        message = (
            f"the files of job {job.spec.job_id} in {job.record.output} are gone or were changed ({error!r}); "
            f"`realignctl retry {job.spec.job_id}` writes them again"
        )
        raise WrongState(message) from error
