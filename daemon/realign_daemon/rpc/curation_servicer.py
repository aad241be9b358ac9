"""Curation servicer: jobs over the wire. A call about a job goes to its home, a submit to the leader."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio

from realign_daemon.clock import Clock
from realign_daemon.curation.export import LAST
from realign_daemon.curation.job import Job
from realign_daemon.curation.jobs import Jobs
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full, NotFound, WrongState
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.faults import error_of_call
from realign_daemon.rpc.job_convert import job_to_wire, request_from_wire
from realign_daemon.work.blobs import CHUNK_BYTES, BlobStore, Incoming
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationServicer as CurationService
from realign_proto.v1.curation_pb2_grpc import CurationStub, add_CurationServicer_to_server

if TYPE_CHECKING:
    from realign_proto.v1.curation_pb2_grpc import CurationAsyncStub

FORWARD_TIMEOUT_S = 600.0  # a submit carries files and waits until they are parsed
CALL_TIMEOUT_S = 30.0
LIST_TIMEOUT_S = 3.0
FORWARDED = "realign-forwarded"  # metadata of a call that another node passed on: it is answered here or not at all
PASSED_ON = ((FORWARDED, "1"),)

Channel = grpc.aio.Channel
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Where other nodes are."""

    leader: Callable[[], Channel | None]  # None when this node leads
    home_of: Callable[[str], Channel | None]  # by job id or its beginning; None when unknown or here
    others: Callable[[], tuple[Channel, ...]]


class CurationServicer(CurationService):
    """Thin: converts, checks where the job lives, passes on."""

    def __init__(
        self, *, jobs: Jobs, blobs: BlobStore, clock: Clock, routes: Routes, node_name: str, max_source_bytes: int
    ) -> None:
        self._jobs = jobs
        self._blobs = blobs
        self._clock = clock
        self._routes = routes
        self._node_name = node_name
        self._max_source_bytes = max_source_bytes
        self._passed_to: dict[str, Channel] = {}  # jobs whose home's next beat may not have come yet

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_CurationServicer_to_server(self, server)

    async def Submit(  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[pb.SubmitRequest], context: Context
    ) -> pb.SubmitReply:
        """Takes a job in, or has the leader do it."""
        leader = None if _is_forwarded(context) else self._routes.leader()
        if leader is not None:
            reply = await _passed_on(
                CurationStub(leader).Submit(request_iterator, timeout=FORWARD_TIMEOUT_S, metadata=PASSED_ON)
            )
            self._passed_to[reply.job_id] = leader
            return reply
        wire = await self._receive(request_iterator)
        job = await self._jobs.submit(request_from_wire(wire))
        return pb.SubmitReply(
            job_id=job.spec.job_id, warnings=job.record.warnings, plan_json=json.dumps(job.record.plan)
        )

    async def Plan(self, request: pb.JobRequest, context: Context) -> pb.PlanReply:  # noqa: N802, ARG002
        """The plan on the living nodes."""
        document, fits = self._jobs.plan(request_from_wire(request))
        return pb.PlanReply(plan_json=json.dumps(document), fits=fits)

    async def GetJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """The job."""
        return await self._at_home(
            request.job_id,
            context,
            self._get,
            lambda stub: stub.GetJob(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON),
        )

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.JobList:  # noqa: N802
        """Jobs of all nodes that can be reached, oldest first."""
        jobs = {job.spec.job_id: self._wire(job) for job in self._jobs.all()}
        if not _is_forwarded(context):
            for channel in self._routes.others():
                try:
                    listed = await CurationStub(channel).ListJobs(request, timeout=LIST_TIMEOUT_S, metadata=PASSED_ON)
                except grpc.aio.AioRpcError:
                    continue  # a node that is gone has no say; its jobs show again with it
                jobs.update((job.id, job) for job in listed.jobs)
        return pb.JobList(jobs=sorted(jobs.values(), key=lambda job: (job.created_unix_s, job.id)))

    async def WatchJob(  # noqa: N802 - the wire's name
        self, request: pb.JobRef, context: Context
    ) -> AsyncIterator[pb.JobEvent]:
        """The job now, then its news until it ends."""
        job = self._jobs.find(request.job_id)
        if job is None:
            stub = self._stub(request.job_id, context)
            async for event in _relayed(stub.WatchJob(request, metadata=PASSED_ON)):
                yield event
            return
        with self._jobs.watch(job) as news:
            yield pb.JobEvent(job=self._wire(job), kind="snapshot", at_unix_s=self._clock.unix())
            if job.record.is_ended:
                return
            async for item in news:
                yield pb.JobEvent(job=self._wire(job), kind=item.kind, text=item.text, at_unix_s=item.at_unix_s)
                if job.record.is_ended and item.kind == "ended":
                    return

    async def CancelJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Ends the job."""
        return await self._at_home(
            request.job_id,
            context,
            self._jobs.cancel,
            lambda stub: stub.CancelJob(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON),
        )

    async def PauseJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Stops the job until it is resumed."""
        return await self._at_home(
            request.job_id,
            context,
            self._jobs.pause,
            lambda stub: stub.PauseJob(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON),
        )

    async def ResumeJob(self, request: pb.JobRef, context: Context) -> pb.Job:  # noqa: N802
        """Lets the job go on."""
        return await self._at_home(
            request.job_id,
            context,
            self._jobs.resume,
            lambda stub: stub.ResumeJob(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON),
        )

    async def RetryJob(self, request: pb.RetryRequest, context: Context) -> pb.Job:  # noqa: N802
        """Runs the job again."""

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
            lambda stub: stub.RetryJob(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON),
        )

    async def SampleRows(self, request: pb.SampleRequest, context: Context) -> pb.SampleReply:  # noqa: N802
        """Some of what the job has made."""
        if self._jobs.find(request.job_id) is None:
            stub = self._stub(request.job_id, context)
            return await _passed_on(stub.SampleRows(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON))
        name, total, items = await self._jobs.sample(
            request.job_id, n=request.n, stage=request.stage, rejected=request.rejected
        )
        return pb.SampleReply(of=name, total=total, items_json=[json.dumps(item) for item in items])

    async def ExplainRow(self, request: pb.RowRef, context: Context) -> pb.RowReport:  # noqa: N802
        """One row and where it comes from."""
        if self._jobs.find(request.job_id) is None:
            stub = self._stub(request.job_id, context)
            return await _passed_on(stub.ExplainRow(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON))
        row = await self._jobs.explain(request.job_id, request.row)
        return pb.RowReport(row_json=json.dumps(row.fields), provenance_json=json.dumps(row.provenance))

    async def DropRows(self, request: pb.DropRequest, context: Context) -> pb.DropReply:  # noqa: N802
        """Takes rows out of the job's output."""
        if self._jobs.find(request.job_id) is None:
            stub = self._stub(request.job_id, context)
            return await _passed_on(stub.DropRows(request, timeout=CALL_TIMEOUT_S, metadata=PASSED_ON))
        dropped, job = await self._jobs.drop(request.job_id, tuple(request.conditions))
        return pb.DropReply(dropped=dropped, job=self._wire(job))

    async def FetchOutput(  # noqa: N802 - the wire's name
        self, request: pb.JobRef, context: Context
    ) -> AsyncIterator[pb.FileChunk]:
        """Every file of the job's output folder."""
        job = self._jobs.find(request.job_id)
        if job is None:
            stub = self._stub(request.job_id, context)
            async for chunk in _relayed(stub.FetchOutput(request, metadata=PASSED_ON)):
                yield chunk
            return
        if not job.record.output:
            message = f"job {job.spec.job_id} is {job.record.state} and has written no output yet"
            raise WrongState(message)
        folder = Path(job.record.output)
        if not (folder / LAST).is_file():
            message = f"the files of job {job.spec.job_id} in {folder} are gone; `realignctl retry` writes them again"
            raise WrongState(message)
        chunks = _folder_chunks(folder)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

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
        return await _passed_on(there(self._stub(reference, context)))

    def _stub(self, reference: str, context: Context) -> CurationAsyncStub:
        channel = None
        if not _is_forwarded(context):
            channel = self._routes.home_of(reference) or self._passed_to.get(reference)
        if channel is None:
            message = f"no node that can be reached has a job {reference!r}; `realignctl jobs` lists them"
            raise NotFound(message)
        return CurationStub(channel)

    def _wire(self, job: Job) -> pb.Job:
        return job_to_wire(job, home=self._node_name, now_unix_s=self._clock.unix())

    async def _receive(self, parts: AsyncIterator[pb.SubmitRequest]) -> pb.JobRequest:
        """The request, its sources' bytes put into the blob store.

        Raises:
            BadInput, Full, DamagedBlob.
        """
        request: pb.JobRequest | None = None
        incoming: dict[str, Incoming] = {}
        received = 0
        try:
            async for part in parts:
                if part.HasField("request"):
                    request = part.request
                    continue
                sha256 = Sha256(part.bytes.sha256)
                received += len(part.bytes.data)
                if received > self._max_source_bytes:
                    message = (
                        f"the sources are larger than {self._max_source_bytes} bytes; "
                        "split the job or raise [limits] source_bytes"
                    )
                    raise Full(message)
                if request is None or sha256 not in _announced(request):
                    message = "bytes came that no source of the request announces; submit again"
                    raise BadInput(message)
                if sha256 not in incoming:
                    incoming[sha256] = self._blobs.incoming(sha256)
                incoming[sha256].write(part.bytes.data)
            for blob in incoming.values():
                await asyncio.to_thread(blob.finish)
        finally:
            for blob in incoming.values():
                blob.discard()
        if request is None:
            message = "the submit held no request; use a client of the same version"
            raise BadInput(message)
        return request


def _announced(request: pb.JobRequest) -> set[str]:
    """The contents whose bytes belong to the request."""
    return {source.sha256 for source in (*request.sources, *request.eval_sets, request.data)}


def _folder_chunks(folder: Path) -> Iterator[pb.FileChunk]:
    """Every file of the folder in pieces; names that begin with a dot are the daemon's own."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        yield from _file_chunks(path, path.relative_to(folder).as_posix())


def _file_chunks(path: Path, name: str) -> Iterator[pb.FileChunk]:
    """The file in pieces; an empty file is one empty piece."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = file.tell()
        file.seek(0)
        yield pb.FileChunk(path=name, size_bytes=size_bytes, sha256=sha256, data=file.read(CHUNK_BYTES))
        while data := file.read(CHUNK_BYTES):
            yield pb.FileChunk(path=name, size_bytes=size_bytes, sha256=sha256, data=data)


def _is_forwarded(context: Context) -> bool:
    return any(key == FORWARDED for key, _ in context.invocation_metadata() or ())


async def _passed_on(call: Awaitable[T]) -> T:
    """The other node's answer; its refusal comes back as it was."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error) from error


async def _relayed(stream: AsyncIterable[T]) -> AsyncIterator[T]:
    """The other node's stream; its refusal comes back as it was."""
    try:
        async for item in stream:
            yield item
    except grpc.aio.AioRpcError as error:
        raise error_of_call(error) from error
