"""Curation servicer: jobs over the wire. A call about a job goes to its home, a submit to the leader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from realign_daemon.clock import Clock
from realign_daemon.config import LimitsConfig
from realign_daemon.curation.custody import Custody
from realign_daemon.curation.data_sets import DataSets
from realign_daemon.curation.export import LAST
from realign_daemon.curation.intake import Request
from realign_daemon.curation.job import Job
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.replicas import Replica, Replicas
from realign_daemon.errors import NotAllowed, NotFound, Unreachable, WrongState
from realign_daemon.rpc.admission import Admission, Completed
from realign_daemon.rpc.caller import caller, may_not
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.delivery import folder_chunks, in_parts
from realign_daemon.rpc.homes import FORWARD_TIMEOUT_S, JobHomes, Routes, is_forwarded, passed_on, relayed
from realign_daemon.rpc.job_convert import job_to_wire, listed_job_to_wire, request_from_wire
from realign_daemon.rpc.request_bounds import check_bounds
from realign_daemon.rpc.sources import Sources
from realign_daemon.work.blobs import BlobStore
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationServicer as CurationService
from realign_proto.v1.curation_pb2_grpc import CurationStub, add_CurationServicer_to_server

if TYPE_CHECKING:
    from realign_proto.v1.curation_pb2_grpc import CurationAsyncStub

CALL_TIMEOUT_S = 30.0
LIST_TIMEOUT_S = 3.0
GET_JOB, CANCEL_JOB = "/realign.v1.Curation/GetJob", "/realign.v1.Curation/CancelJob"
LIST_JOBS = "/realign.v1.Curation/ListJobs"
CANCEL_NOTED = "the cancel is noted: its home {} hears of it, and ends the job, as soon as it can be reached"


class CurationServicer(CurationService):
    """Thin: converts, checks where the job lives, passes on."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        data_sets: DataSets,
        blobs: BlobStore,
        clock: Clock,
        routes: Routes,
        node_name: str,
        limits: LimitsConfig,
        sources: Sources,
        replicas: Replicas | None = None,
        custody: Custody | None = None,
        completed: Completed | None = None,
        asking: Completed | None = None,
    ) -> None:
        """Without `replicas` no other nodes hold its jobs; without `custody` it runs none of theirs.

        `completed` adds to a request what the model hub offers for it; `asking` before that what a server has that it
        names, for a plan, too.
        """
        self._jobs = jobs
        self._data_sets = data_sets
        self._clock = clock
        self._routes = routes
        self._homes = JobHomes(routes)
        self._node_name = node_name
        self._limits = limits
        self._replicas = replicas
        self._custody = custody
        self._asking = asking
        self._admission = Admission(
            jobs=jobs,
            data_sets=data_sets,
            blobs=blobs,
            routes=routes,
            homes=self._homes,
            node_name=node_name,
            limits=limits,
            sources=sources,
            replicas=replicas,
            completed=completed,
            asking=asking,
        )

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_CurationServicer_to_server(self, server)

    async def Submit(  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[pb.SubmitRequest], context: Context
    ) -> pb.SubmitReply:
        """Takes a job in, or has the leader do it."""
        return await self._admission.submit(request_iterator, is_forwarded=is_forwarded(context))

    async def Plan(self, request: pb.JobRequest, context: Context) -> pb.PlanReply:  # noqa: N802, ARG002
        """The plan on the living nodes."""
        asked = request_from_wire(request)
        document, fits = self._jobs.plan(await self._asking(asked) if self._asking else asked)
        return pb.PlanReply(plan_json=json.dumps(document), fits=fits)

    async def GetJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """The job; where its home cannot be reached, what this node has heard of it."""
        try:
            return await self._at_home(
                request.job_id,
                context,
                self._get,
                lambda stub: stub.GetJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata),
            )
        except (NotFound, Unreachable):
            replica = await self._replica(request.job_id, context, GET_JOB)
            if replica is None:
                raise
            return job_to_wire(replica.job, home=replica.home, now_unix_s=self._clock.unix())

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.JobList:  # noqa: N802
        """Jobs of all nodes, those of nodes that cannot be reached as this one has heard of them; oldest first."""
        now = self._clock.unix()
        seen = [job for job in self._jobs.all() if may_not(LIST_JOBS, job.owner) is None]
        own = (listed_job_to_wire(job, home=self._node_name, now_unix_s=now) for job in seen)
        jobs = {job.id: job for job in own}
        if not is_forwarded(context):
            for channel in self._routes.others():
                try:
                    listed = await CurationStub(channel).ListJobs(
                        request, timeout=LIST_TIMEOUT_S, metadata=self._homes.metadata
                    )
                except grpc.aio.AioRpcError:
                    continue  # a node that is gone has no say; its jobs show again with it
                jobs.update((job.id, job) for job in listed.jobs)
            for replica in await self._replicas.all() if self._replicas else ():
                if replica.job.spec.job_id not in jobs and may_not(LIST_JOBS, replica.job.owner) is None:
                    wire = listed_job_to_wire(replica.job, home=replica.home, now_unix_s=now)
                    jobs[wire.id] = wire
        return pb.JobList(jobs=sorted(jobs.values(), key=lambda job: (job.created_unix_s, job.id)))

    async def WatchJob(  # noqa: N802 - the wire's name
        self, request: pb.JobRef, context: Context
    ) -> AsyncIterator[pb.JobEvent]:
        """The job now, then its news until it ends."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            async for event in relayed(home.WatchJob(request, metadata=self._homes.metadata)):
                yield event
            return
        with self._jobs.watch(job) as news:
            yield pb.JobEvent(job=self._wire(job), kind="snapshot", at_unix_s=self._clock.unix())
            if job.record.is_ended and job.closed.is_set():
                return
            async for item in news:
                yield pb.JobEvent(job=self._wire(job), kind=item.kind, text=item.text, at_unix_s=item.at_unix_s)
                if item.kind == "moved" or (job.record.is_ended and item.kind == "ended"):
                    return

    async def CancelJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Ends the job; where its home cannot be reached, the wish is noted for it."""
        try:
            return await self._at_home(
                request.job_id,
                context,
                self._jobs.cancel,
                lambda stub: stub.CancelJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata),
            )
        except (NotFound, Unreachable):
            replica = await self._replica(request.job_id, context, CANCEL_JOB)
            if replica is None or self._custody is None:
                raise
            await self._custody.ask_to_cancel(replica.job, by=caller().label)
            replica.job.record.warnings.insert(0, CANCEL_NOTED.format(replica.home))
            return job_to_wire(replica.job, home=replica.home, now_unix_s=self._clock.unix())

    async def AdoptJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Has the job's home go on without its voters or, where that cannot be reached, the leader become its home."""
        if self._custody is None:
            raise WrongState("this node adopts no jobs; ask another one")
        home = await self._custody.home_of(request.job_id)
        if not is_forwarded(context) and home != self._custody.node_id:
            if home and (channel := self._routes.channel(home)) is not None:
                with suppress(Unreachable):
                    return await self._adopted_by(channel, request)
            if (leader := self._routes.leader()) is not None:
                return await self._adopted_by(leader, request)
        return self._wire(await self._custody.adopt(request.job_id))

    async def _adopted_by(self, channel: grpc.aio.Channel, request: pb.JobRef) -> pb.Job:
        adopted = CurationStub(channel).AdoptJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata)
        return await passed_on(adopted)

    async def PauseJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Stops the job until it is resumed."""
        return await self._at_home(
            request.job_id,
            context,
            self._jobs.pause,
            lambda stub: stub.PauseJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata),
        )

    async def ResumeJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Lets the job go on."""
        return await self._at_home(
            request.job_id,
            context,
            self._jobs.resume,
            lambda stub: stub.ResumeJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata),
        )

    async def RetryJob(self, request: pb.RetryRequest, context: Context) -> pb.Job:  # noqa: N802
        """Runs the job again."""
        check_bounds(Request(text=request.reason, settings=dict(request.settings)), self._limits)

        async def retry(reference: str) -> Job:
            return await self._jobs.retry(
                reference,
                settings=dict(request.settings),
                override=request.override_gate,
                reason=request.reason,
                from_stage=request.from_stage,
            )

        return await self._at_home(
            request.job_id,
            context,
            retry,
            lambda stub: stub.RetryJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata),
        )

    async def SampleRows(self, request: pb.SampleRequest, context: Context) -> pb.SampleReply:  # noqa: N802
        """Some of what the job has made."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            return await passed_on(home.SampleRows(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata))
        found = await self._data_sets.sample(job, n=request.n, stage=request.stage, rejected=request.rejected)
        return pb.SampleReply(of=found.of, total=found.total, items_json=[json.dumps(item) for item in found.items])

    async def ExplainRow(self, request: pb.RowRef, context: Context) -> pb.RowReport:  # noqa: N802
        """One row and where it comes from."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            return await passed_on(home.ExplainRow(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata))
        row = await self._data_sets.explain(job, request.row)
        return pb.RowReport(row_json=json.dumps(row.fields), provenance_json=json.dumps(row.provenance))

    async def DropRows(self, request: pb.DropRequest, context: Context) -> pb.DropReply:  # noqa: N802
        """Takes rows out of the job's output."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            return await passed_on(home.DropRows(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata))
        dropped = await self._data_sets.drop(job, tuple(request.conditions))
        return pb.DropReply(dropped=dropped, job=self._wire(job))

    async def ListQuestions(  # noqa: N802 - the wire's name
        self, request: pb.JobRef, context: Context
    ) -> AsyncIterator[pb.Questions]:
        """What the rows of the job ask."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            async for part in relayed(
                home.ListQuestions(request, timeout=FORWARD_TIMEOUT_S, metadata=self._homes.metadata)
            ):
                yield part
            return
        for part in in_parts(await self._data_sets.questions(job)):
            yield pb.Questions(questions=part)

    async def FetchOutput(  # noqa: N802 - the wire's name
        self, request: pb.JobRef, context: Context
    ) -> AsyncIterator[pb.FileChunk]:
        """Every file of the job's output folder."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            async for chunk in relayed(home.FetchOutput(request, metadata=self._homes.metadata)):
                yield chunk
            return
        if not job.record.output:
            message = f"job {job.spec.job_id} is {job.record.state} and has written no output yet"
            raise WrongState(message)
        folder = Path(job.record.output)
        if not (folder / LAST).is_file():
            message = f"the files of job {job.spec.job_id} in {folder} are gone; `realignctl retry` writes them again"
            raise WrongState(message)
        chunks = folder_chunks(folder)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    async def ListOutput(self, request: pb.JobRef, context: Context) -> pb.FileList:  # noqa: N802
        """What RemoveJob would delete here."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            return await passed_on(home.ListOutput(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata))
        files = await self._data_sets.files(job)
        return pb.FileList(
            job=self._wire(job), files=[pb.FileEntry(path=file.path, size_bytes=file.size_bytes) for file in files]
        )

    async def RemoveJob(self, request: pb.JobRef, context: Context) -> pb.RemovedJob:  # noqa: N802
        """Removes the job on every node."""
        job = self._jobs.find(request.job_id)
        if job is None:
            home = self._homes.asked_by(context, request.job_id)
            return await passed_on(home.RemoveJob(request, timeout=CALL_TIMEOUT_S, metadata=self._homes.metadata))
        files = await self._jobs.remove(job.spec.job_id, by=caller().label)
        return pb.RemovedJob(job_id=job.spec.job_id, files=len(files), bytes=sum(file.size_bytes for file in files))

    async def _replica(self, reference: str, context: Context, method: str) -> Replica | None:
        """What is known here of a job whose home cannot be reached. Raises NotAllowed."""
        replica = None if is_forwarded(context) or not self._replicas else await self._replicas.find(reference)
        if replica is not None and (reason := may_not(method, replica.job.owner)):
            raise NotAllowed(reason)
        return replica

    async def _get(self, reference: str) -> Job:
        return self._jobs.get(reference)

    async def _at_home(
        self,
        reference: str,
        context: Context,
        here: Callable[[str], Awaitable[Job]],
        there: Callable[[CurationAsyncStub], Awaitable[pb.Job]],
    ) -> pb.Job:
        if self._jobs.find(reference) is not None:
            return self._wire(await here(reference))
        return await passed_on(there(self._homes.asked_by(context, reference)))

    def _wire(self, job: Job) -> pb.Job:
        return job_to_wire(job, home=self._node_name, now_unix_s=self._clock.unix())
