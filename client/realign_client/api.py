"""Client: a connection to a cluster through any of its nodes. The library that realignctl itself is made of.

async with connect() as client:
    reply = await client.submit(pb.JobRequest(text="…"), collect(["book.pdf"]))
    async for event in client.watch(reply.job_id):
        ...
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import grpc
import grpc.aio

from realign_client.endpoint import find_endpoint
from realign_client.errors import error_of_call
from realign_client.outputs import receive
from realign_client.sources import SourceFile, pieces
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import status_pb2
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.status_pb2_grpc import StatusStub

CALL_TIMEOUT_S = 35.0  # a node gives the job's home 30 s when it passes a call on
SUBMIT_TIMEOUT_S = 900.0  # uploads over a slow network, and the daemon parses before it answers
BENCH_TIMEOUT_S = 900.0
FETCH_TIMEOUT_S = 3600.0

# A laptop that fell asleep closes nothing: pings find out within seconds that a watched node is gone.
CHANNEL_OPTIONS = MappingProxyType(
    {
        "grpc.keepalive_time_ms": 10_000,
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.http2.ping_timeout_ms": 5_000,
        "grpc.max_reconnect_backoff_ms": 2_000,
        "grpc.enable_http_proxy": 0,  # nodes are on this network; a proxy for the web has no business between them
        "grpc.max_receive_message_length": 64 * 1024 * 1024,  # a list of jobs carries their specs and summaries
    }
)

T = TypeVar("T")


@asynccontextmanager
async def connect(endpoint: str | None = None) -> AsyncGenerator[Client]:
    """A client of the daemon at `endpoint`, or of the nearest one; see `find_endpoint` for the order and the errors."""
    target = find_endpoint(endpoint)
    async with grpc.aio.insecure_channel(target, options=list(CHANNEL_OPTIONS.items())) as channel:
        yield Client(channel, target)


class Client:
    """Every call raises a ClientError that says what happened. Job ids may be shortened to an unambiguous beginning."""

    def __init__(self, channel: grpc.aio.Channel, target: str) -> None:
        self.target = target
        self._curation = CurationStub(channel)
        self._status = StatusStub(channel)

    async def submit(self, request: pb.JobRequest, files: Sequence[SourceFile] = ()) -> pb.SubmitReply:
        """Takes the request and the bytes of files to the cluster; files that it does not announce become sources."""
        announced = pb.JobRequest()
        announced.CopyFrom(request)
        known = {one.sha256 for one in (*request.sources, *request.eval_sets, request.data)}
        announced.sources.extend(file.announcement() for file in files if file.sha256 not in known)
        parts = _submission(announced, pieces(files))
        return await self._answer(self._curation.Submit(parts, timeout=SUBMIT_TIMEOUT_S))

    async def plan(self, request: pb.JobRequest) -> pb.PlanReply:
        """What the cluster would do; changes nothing."""
        return await self._answer(self._curation.Plan(request, timeout=CALL_TIMEOUT_S))

    async def job(self, job_id: str) -> pb.Job:
        """The job as it is now."""
        return await self._answer(self._curation.GetJob(pb.JobRef(job_id=job_id), timeout=CALL_TIMEOUT_S))

    async def jobs(self) -> tuple[pb.Job, ...]:
        """The jobs of every node that can be reached, oldest first."""
        return tuple((await self._answer(self._curation.ListJobs(pb.ListJobsRequest(), timeout=CALL_TIMEOUT_S))).jobs)

    def watch(self, job_id: str) -> AsyncIterator[pb.JobEvent]:
        """The job as it is now, then each change, until it ends."""
        return self._events(self._curation.WatchJob(pb.JobRef(job_id=job_id)))

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
        """Writes every output file of the job below `folder`, each checked against its hash."""
        call = self._curation.FetchOutput(pb.JobRef(job_id=job_id), timeout=FETCH_TIMEOUT_S)
        return await receive(self._events(call), folder)

    async def status(self) -> status_pb2.NodeStatus:
        """What the daemon sees of itself and of the cluster."""
        return await self._answer(self._status.GetStatus(status_pb2.StatusRequest(), timeout=CALL_TIMEOUT_S))

    def bench(self, request: status_pb2.BenchRequest) -> AsyncIterator[status_pb2.BenchEvent]:
        """Measures the daemon's machine: what it is doing, and in the last event the figures."""
        return self._events(self._status.Bench(request, timeout=BENCH_TIMEOUT_S))

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


async def _submission(request: pb.JobRequest, parts: Iterable[pb.SourceBytes]) -> AsyncIterator[pb.SubmitRequest]:
    yield pb.SubmitRequest(request=request)
    for part in parts:
        yield pb.SubmitRequest(bytes=part)
