"""Client: a connection to a cluster through any of its nodes. The library that realignctl itself is made of.

async with connect() as client:
    reply = await client.submit(pb.JobRequest(text="…"), collect(["book.pdf"]))
    async for event in client.watch(reply.job_id):
        ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from realign_client.channels import open_channel
from realign_client.endpoint import find_endpoint
from realign_client.errors import error_of_call
from realign_client.outputs import receive
from realign_client.sources import SourceFile, pieces
from realign_client.uploads import Progress, upload
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import facts_pb2, host_pb2, housekeeping_pb2, models_pb2, status_pb2
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.files_pb2_grpc import FilesStub
from realign_proto.v1.host_pb2_grpc import HostStub
from realign_proto.v1.housekeeping_pb2_grpc import HousekeepingStub
from realign_proto.v1.models_pb2_grpc import ModelsStub
from realign_proto.v1.status_pb2_grpc import StatusStub

if TYPE_CHECKING:
    from realign_client.trust_calls import TrustCalls

MOVING_S = 2.0  # until the beats have told every node of a job's new home
CALL_TIMEOUT_S = 35.0  # a node gives the job's home 30 s when it passes a call on
SUBMIT_TIMEOUT_S = 2100.0  # a node gives the job's home 1800 s to fetch the sources and to parse them
BENCH_TIMEOUT_S = 900.0
FETCH_TIMEOUT_S = 3600.0
MODEL_TIMEOUT_S = 70.0  # removing some hundred gigabytes; a node gives another one 60 s
GARBAGE_TIMEOUT_S = 1300.0  # a node sweeps for up to 600 s, then gives the others as long

T = TypeVar("T")


@asynccontextmanager
async def connect(endpoint: str | None = None) -> AsyncGenerator[Client]:
    """A client of the daemon at `endpoint`, or of the nearest one; see `find_endpoint` for the order and the errors.

    Over TCP it shows the certificate that `cluster join` has left, if there is one, and renews it in time.
    """
    target = find_endpoint(endpoint)
    async with open_channel(target) as channel:
        client = Client(channel, target)
        if not target.startswith("unix:"):
            from realign_client.enrolment import renew

            await renew(client.trust)
        yield client


class Client:
    """Every call raises a ClientError that says what happened. Job ids may be shortened to an unambiguous beginning."""

    def __init__(self, channel: grpc.aio.Channel, target: str) -> None:
        self.target = target
        self._channel = channel
        self._curation = CurationStub(channel)
        self._status = StatusStub(channel)
        self._files = FilesStub(channel)
        self._host = HostStub(channel)
        self._housekeeping = HousekeepingStub(channel)
        self._models = ModelsStub(channel)

    @property
    def trust(self) -> TrustCalls:
        """Calls about who belongs to the cluster."""
        from realign_client.trust_calls import TrustCalls

        return TrustCalls(self._channel, self.target)

    async def submit(
        self,
        request: pb.JobRequest,
        files: Sequence[SourceFile] = (),
        *,
        progress: Progress = lambda _there, _all: None,
    ) -> pb.SubmitReply:
        """Takes the request and the bytes of files to the cluster; files that it does not announce become sources.

        Bytes that the daemon has are not sent, and an upload that breaks goes on where it stopped, now or next time.
        """
        announced = pb.JobRequest()
        announced.CopyFrom(request)
        known = {(one.name, one.sha256) for one in (*request.sources, *request.eval_sets, request.data)}
        announced.sources.extend(file.announcement() for file in files if (file.name, file.sha256) not in known)
        sent = [file for file in files if file.path]
        try:
            await upload(self._files, sent, progress)
            sent = []
        except grpc.aio.AioRpcError as failure:
            if failure.code() is not grpc.StatusCode.UNIMPLEMENTED:  # an older daemon takes the bytes with the submit
                raise error_of_call(failure, self.target) from failure
        parts = _submission(announced, sent)
        return await self._answer(self._curation.Submit(parts, timeout=SUBMIT_TIMEOUT_S))

    async def plan(self, request: pb.JobRequest) -> pb.PlanReply:
        """What the cluster would do; changes nothing."""
        return await self._answer(self._curation.Plan(request, timeout=CALL_TIMEOUT_S))

    async def job(self, job_id: str) -> pb.Job:
        """The job as it is now."""
        return await self._answer(self._curation.GetJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def jobs(self) -> tuple[pb.Job, ...]:
        """The jobs of every node that can be reached, oldest first, without specs, plans, pilots and summaries."""
        return tuple((await self._answer(self._curation.ListJobs(pb.ListJobsRequest(), timeout=CALL_TIMEOUT_S))).jobs)

    async def watch(self, job_id: str) -> AsyncIterator[pb.JobEvent]:
        """The job as it is now, then each change, until it ends; from its new home where it gets one."""
        is_moved = True
        while is_moved:
            is_moved = False
            async for event in self._events(self._curation.WatchJob(pb.JobRef(job_id=job_id))):
                is_moved = event.kind == "moved"
                yield event
            if is_moved:
                await asyncio.sleep(MOVING_S)

    async def adopt(self, job_id: str) -> pb.Job:
        """Gives a job whose home is lost another one: the leader."""
        return await self._answer(self._curation.AdoptJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def cancel(self, job_id: str) -> pb.Job:
        """Ends the job; what it made so far stays."""
        return await self._answer(self._curation.CancelJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def pause(self, job_id: str) -> pb.Job:
        """Stops the job until it is resumed."""
        return await self._answer(self._curation.PauseJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def resume(self, job_id: str) -> pb.Job:
        """Lets a paused job go on."""
        return await self._answer(self._curation.ResumeJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def retry(self, request: pb.RetryRequest) -> pb.Job:
        """Runs an ended or blocked job again; results it already has are not computed again."""
        return await self._answer(self._curation.RetryJob(request, timeout=CALL_TIMEOUT_S))

    async def sample(self, request: pb.SampleRequest) -> pb.SampleReply:
        """Some of what a job has made, also while it runs."""
        return await self._answer(self._curation.SampleRows(request, timeout=CALL_TIMEOUT_S))

    async def why(self, job_id: str, row: str) -> pb.RowReport:
        """Where a row comes from and why it is there."""
        return await self._answer(self._curation.ExplainRow(pb.RowRef(job_id=job_id, row=row), timeout=CALL_TIMEOUT_S))

    async def drop(self, job_id: str, conditions: Sequence[str]) -> pb.DropReply:
        """Takes the rows out of the job's files that a condition holds for."""
        request = pb.DropRequest(job_id=job_id, conditions=conditions)
        return await self._answer(self._curation.DropRows(request, timeout=CALL_TIMEOUT_S))

    async def fetch(self, job_id: str, folder: Path) -> tuple[Path, ...]:
        """Writes every output file of the job below `folder`, all of them checked, or none. See `receive`."""
        call = self._curation.FetchOutput(pb.JobRef(job_id=job_id), timeout=FETCH_TIMEOUT_S)
        return await receive(self._events(call), folder)

    async def status(self) -> status_pb2.NodeStatus:
        """What the daemon sees of itself and of the cluster."""
        return await self._answer(self._status.GetStatus(status_pb2.StatusRequest(), timeout=CALL_TIMEOUT_S))

    def bench(self, request: status_pb2.BenchRequest) -> AsyncIterator[status_pb2.BenchEvent]:
        """Measures the daemon's machine: what it is doing, and in the last event the figures."""
        return self._events(self._status.Bench(request, timeout=BENCH_TIMEOUT_S))

    async def pause_node(self, seconds: float | None = None) -> facts_pb2.NodeFacts:
        """Has the daemon take no work, for so long or until it is resumed; the node's facts afterwards."""
        request = host_pb2.PauseNodeRequest(seconds=seconds)
        return await self._answer(self._host.PauseNode(request, timeout=CALL_TIMEOUT_S))

    async def resume_node(self) -> facts_pb2.NodeFacts:
        """Has the daemon take work again; the node's facts afterwards."""
        return await self._answer(self._host.ResumeNode(host_pb2.ResumeNodeRequest(), timeout=CALL_TIMEOUT_S))

    async def output_files(self, job_id: str) -> pb.FileList:
        """The job, and what lies in its output folder on its home."""
        return await self._answer(self._curation.ListOutput(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def remove(self, job_id: str) -> pb.RemovedJob:
        """Removes an ended job for good; its results stay until they are garbage."""
        return await self._answer(self._curation.RemoveJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def garbage(self, keep_s: float, *, is_for_real: bool) -> housekeeping_pb2.Garbage:
        """What no job refers to and is older than that, on every node; removed, or only looked at."""
        call = self._housekeeping.CollectGarbage if is_for_real else self._housekeeping.FindGarbage
        request = housekeeping_pb2.GarbageRequest(keep_s=keep_s)
        return await self._answer(call(request, timeout=GARBAGE_TIMEOUT_S))

    async def models(self) -> models_pb2.ModelList:
        """The models of every node that can be reached."""
        return await self._answer(self._models.ListModels(models_pb2.ListModelsRequest(), timeout=CALL_TIMEOUT_S))

    def pull(self, request: models_pb2.PullModelRequest) -> AsyncIterator[models_pb2.ModelArrived]:
        """Brings a model to a node: how it goes, and in the last event the model. Leaving the stream stops it."""
        return self._events(self._models.PullModel(request))

    async def remove_model(self, name: str, node: str = "") -> models_pb2.ModelOnNode:
        """Takes a model that realign brought there from the node, or from the daemon that is asked."""
        request = models_pb2.RemoveModelRequest(name=name, node=node)
        return await self._answer(self._models.RemoveModel(request, timeout=MODEL_TIMEOUT_S))

    async def description(self) -> housekeeping_pb2.Description:
        """What a bug report says of the node."""
        request = housekeeping_pb2.DescribeNodeRequest()
        return await self._answer(self._housekeeping.DescribeNode(request, timeout=CALL_TIMEOUT_S))

    async def _answer(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except grpc.aio.AioRpcError as failure:
            raise error_of_call(failure, self.target) from failure

    async def _events(self, call: grpc.aio.UnaryStreamCall[Any, T]) -> AsyncIterator[T]:
        try:
            async for event in call:
                yield event
        except grpc.aio.AioRpcError as failure:
            raise error_of_call(failure, self.target) from failure
        finally:
            call.cancel()


async def _submission(request: pb.JobRequest, files: Sequence[SourceFile]) -> AsyncIterator[pb.SubmitRequest]:
    yield pb.SubmitRequest(request=request)
    for file in {file.sha256: file for file in files}.values():
        for part in pieces(file):
            yield pb.SubmitRequest(bytes=pb.SourceBytes(sha256=part.sha256, data=part.data))
