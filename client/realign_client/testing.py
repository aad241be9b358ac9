"""Scripted daemon: a gRPC server on loopback whose answers are set by hand, for tests of what uses the client."""
# ruff: noqa: D102, N802, ARG002 - the methods are the wire's: named and documented there, asked whether they care or not

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf.message import Message

from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import facts_pb2, host_pb2, housekeeping_pb2, models_pb2, status_pb2
from realign_proto.v1.curation_pb2_grpc import CurationServicer, add_CurationServicer_to_server
from realign_proto.v1.host_pb2_grpc import HostServicer, add_HostServicer_to_server
from realign_proto.v1.housekeeping_pb2_grpc import HousekeepingServicer, add_HousekeepingServicer_to_server
from realign_proto.v1.models_pb2_grpc import ModelsServicer, add_ModelsServicer_to_server
from realign_proto.v1.status_pb2_grpc import StatusServicer, add_StatusServicer_to_server

WAIT_S = 30.0
CHUNK_BYTES = 1024 * 1024

PLAN: Mapping[str, Any] = MappingProxyType(
    {
        "data_type": "dpo",
        "skill": "realign-dpo-workflow",
        "confidence": 1.0,
        "strategy": "single_machine",
        "model": {"name": "pocket", "params_b": 0.001, "active_params_b": 0.001, "bits": 32, "bytes": 3_000_000},
        "nodes": [{"name": "left", "share": 1.0, "batch_size": 8}],
        "standby": [],
        "backend": None,
        "predicted": None,
        "models": [],
        "alternatives_type": [],
        "reasons": ["it fits"],
        "alternatives": [],
        "warnings": [],
    }
)


class ScriptedDaemon(CurationServicer, HostServicer, HousekeepingServicer, ModelsServicer, StatusServicer):
    """A daemon with one job, which ends as its fields say; it remembers what it was sent and told."""

    def __init__(self) -> None:
        self.job = pb.Job(id="dpo-1", state="completed", output="/there", folder_name="dpo_book_20260101")
        self.files: dict[str, bytes] = {"train.jsonl": b"x" * 1_500_000, "adapter/config.json": b"{}"}
        self.damages = False
        self.plan: Mapping[str, Any] = PLAN
        self.refusal: tuple[grpc.StatusCode, str, str | None] | None = None
        self.submitted: list[pb.JobRequest] = []
        self.received: dict[str, bytes] = {}
        self.pilot: Mapping[str, Any] | None = None  # with one, a watched job waits for a word after it, once
        self.pauses_before_its_end = False  # a watched job is paused by hand at first
        self.called: list[str] = []  # names of the calls that change whether a job runs
        self.told: list[Message] = []
        self.garbage = housekeeping_pb2.Garbage()
        self.model = models_pb2.ModelOnNode(
            node="left", name="acme/tiny-1M", sha256="5a" * 32, revision="c0ffee" * 6 + "c0ff", size_bytes=500_000,
            bits=16, params_b=0.001, path="/models/acme/tiny-1M", removable=True, used_by=["dpo-1"],
        )  # fmt: skip
        self.may_end = Event()
        self.may_end.set()

    def Submit(self, request_iterator: Iterator[pb.SubmitRequest], context: grpc.ServicerContext) -> pb.SubmitReply:
        for part in request_iterator:
            if part.HasField("request"):
                self.submitted.append(part.request)
            else:
                if len(part.bytes.data) > CHUNK_BYTES:
                    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "a piece is larger than the wire allows")
                self.received[part.bytes.sha256] = self.received.get(part.bytes.sha256, b"") + part.bytes.data
        self._refuse(context)
        return pb.SubmitReply(job_id=self.job.id, warnings=["few rows"], plan_json=json.dumps(dict(self.plan)))

    def Plan(self, request: pb.JobRequest, context: grpc.ServicerContext) -> pb.PlanReply:
        self._refuse(context)
        return pb.PlanReply(plan_json=json.dumps(dict(self.plan)), fits=self.plan["strategy"] is not None)

    def GetJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.Job:
        self._refuse(context)
        return self.job

    def ListJobs(self, request: pb.ListJobsRequest, context: grpc.ServicerContext) -> pb.JobList:
        return pb.JobList(jobs=[self.job])

    def WatchJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> Iterator[pb.JobEvent]:
        running = pb.Job()
        running.CopyFrom(self.job)
        running.state = "running"
        if self.pilot is not None:
            waiting = pb.Job(id=self.job.id, state="paused", paused_by="pilot", pilot_json=json.dumps(dict(self.pilot)))
            self.pilot = None
            yield pb.JobEvent(job=waiting, kind="pilot", text="pilot done", at_unix_s=1.0)
            return
        if self.pauses_before_its_end:
            running.state, running.paused_by, running.pilot_json = "paused", "hand", "{}"
            yield pb.JobEvent(job=running, kind="snapshot", at_unix_s=1.0)
        else:
            yield pb.JobEvent(job=running, kind="snapshot", text="Score pairs", at_unix_s=1.0)
        self.may_end.wait(WAIT_S)
        yield pb.JobEvent(job=self.job, kind="ended", text="it ended", at_unix_s=2.0)

    def CancelJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.Job:
        self.called.append("CancelJob")
        return self._tell(request)

    def AdoptJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.Job:
        return self._tell(request)

    def PauseJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.Job:
        return self._tell(request)

    def ResumeJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.Job:
        self.called.append("ResumeJob")
        return self._tell(request)

    def RetryJob(self, request: pb.RetryRequest, context: grpc.ServicerContext) -> pb.Job:
        return self._tell(request)

    def SampleRows(self, request: pb.SampleRequest, context: grpc.ServicerContext) -> pb.SampleReply:
        if request.rejected:
            return pb.SampleReply(of="rejected", total=1, items_json=['{"stage": "score", "reason": "a tie"}'])
        rows = [json.dumps({"id": "ab12cd34ef56aa", "prompt": "q"})] * request.n
        return pb.SampleReply(of=request.stage or "rows", total=50, items_json=rows)

    def ExplainRow(self, request: pb.RowRef, context: grpc.ServicerContext) -> pb.RowReport:
        self._refuse(context)
        return pb.RowReport(
            row_json=json.dumps({"id": request.row, "prompt": "q"}),
            provenance_json=json.dumps(
                {
                    "source": {"name": "book.pdf", "sha256": "5a" * 32, "section": "One"},
                    "spans": [{"page": 3, "start": 10, "end": 20}],
                    "quote": "seven and\nthree",
                    "judge": {"gap": 0.5},
                }
            ),
        )

    def DropRows(self, request: pb.DropRequest, context: grpc.ServicerContext) -> pb.DropReply:
        self.told.append(request)
        return pb.DropReply(dropped=2, job=self.job)

    def ListQuestions(self, request: pb.JobRef, context: grpc.ServicerContext) -> Iterator[pb.Questions]:
        yield pb.Questions(questions=["q"])

    def FetchOutput(self, request: pb.JobRef, context: grpc.ServicerContext) -> Iterator[pb.FileChunk]:
        for path, data in self.files.items():
            digest = hashlib.sha256(data + (b"!" if self.damages else b"")).hexdigest()
            for start in range(0, len(data), CHUNK_BYTES):
                piece = data[start : start + CHUNK_BYTES]
                yield pb.FileChunk(path=path, size_bytes=len(data), sha256=digest, data=piece)

    def ListOutput(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.FileList:
        files = [pb.FileEntry(path=path, size_bytes=len(data)) for path, data in self.files.items()]
        return pb.FileList(job=self.job, files=files)

    def RemoveJob(self, request: pb.JobRef, context: grpc.ServicerContext) -> pb.RemovedJob:
        self.called.append("RemoveJob")
        self._refuse(context)
        return pb.RemovedJob(job_id=self.job.id, files=len(self.files), bytes=sum(map(len, self.files.values())))

    def FindGarbage(
        self, request: housekeeping_pb2.GarbageRequest, context: grpc.ServicerContext
    ) -> housekeeping_pb2.Garbage:
        self.told.append(request)
        return self.garbage

    def CollectGarbage(
        self, request: housekeeping_pb2.GarbageRequest, context: grpc.ServicerContext
    ) -> housekeeping_pb2.Garbage:
        self.called.append("CollectGarbage")
        self.told.append(request)
        return self.garbage

    def ListReferences(
        self, request: housekeeping_pb2.ReferencesRequest, context: grpc.ServicerContext
    ) -> Iterator[housekeeping_pb2.References]:
        yield housekeeping_pb2.References()

    def DescribeNode(
        self, request: housekeeping_pb2.DescribeNodeRequest, context: grpc.ServicerContext
    ) -> housekeeping_pb2.Description:
        return housekeeping_pb2.Description(settings_json='{"engine": {"duty_fraction": 1.0}}', rows={"jobs": 1})

    def ListModels(self, request: models_pb2.ListModelsRequest, context: grpc.ServicerContext) -> models_pb2.ModelList:
        return models_pb2.ModelList(models=[self.model], remarks=["node right could not be asked: it is away"])

    def PullModel(
        self, request: models_pb2.PullModelRequest, context: grpc.ServicerContext
    ) -> Iterator[models_pb2.ModelArrived]:
        self.told.append(request)
        self._refuse(context)
        yield models_pb2.ModelArrived(
            node="left", source="the hub", bytes_done=250_000, bytes_total=500_000, bytes_per_s=50_000
        )
        yield models_pb2.ModelArrived(node="left", model=self.model)

    def RemoveModel(
        self, request: models_pb2.RemoveModelRequest, context: grpc.ServicerContext
    ) -> models_pb2.ModelOnNode:
        self.told.append(request)
        self._refuse(context)
        return self.model

    def DescribeModel(self, request: models_pb2.ModelRef, context: grpc.ServicerContext) -> models_pb2.ModelFiles:
        return models_pb2.ModelFiles(name=self.model.name)

    def ReadModelFile(
        self, request: models_pb2.ModelFileRequest, context: grpc.ServicerContext
    ) -> Iterator[models_pb2.ModelBytes]:
        yield models_pb2.ModelBytes()

    def GetStatus(self, request: status_pb2.StatusRequest, context: grpc.ServicerContext) -> status_pb2.NodeStatus:
        member = status_pb2.Member(id="n1", name="left", state="alive")
        node = status_pb2.NodeIdentity(id="n1", name="left")
        return status_pb2.NodeStatus(node=node, leader=status_pb2.Leader(id="n1", name="left"), members=[member])

    def Bench(self, request: status_pb2.BenchRequest, context: grpc.ServicerContext) -> Iterator[status_pb2.BenchEvent]:
        self.told.append(request)
        yield status_pb2.BenchEvent(text="float32")
        benchmark = facts_pb2.HostBenchmark(gflops={"float32": 67.0}, bandwidth_gbs=3.3)
        yield status_pb2.BenchEvent(facts=facts_pb2.NodeFacts(name="left", benchmark=benchmark))

    def PauseNode(self, request: host_pb2.PauseNodeRequest, context: grpc.ServicerContext) -> facts_pb2.NodeFacts:
        self.told.append(request)
        return facts_pb2.NodeFacts(name="left", paused=True)

    def ResumeNode(self, request: host_pb2.ResumeNodeRequest, context: grpc.ServicerContext) -> facts_pb2.NodeFacts:
        return facts_pb2.NodeFacts(name="left", refusal="it is measuring itself")

    def _tell(self, request: pb.JobRef | pb.RetryRequest) -> pb.Job:
        self.told.append(request)
        return self.job

    def _refuse(self, context: grpc.ServicerContext) -> None:
        if self.refusal is not None:
            code, message, exit_code = self.refusal
            if exit_code is not None:
                context.set_trailing_metadata((("realign-exit", exit_code),))
            context.abort(code, message)


@contextmanager
def serving(daemon: ScriptedDaemon) -> Generator[str]:
    """The address at which the daemon answers for as long as the context lasts."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_CurationServicer_to_server(daemon, server)
    add_HostServicer_to_server(daemon, server)
    add_HousekeepingServicer_to_server(daemon, server)
    add_ModelsServicer_to_server(daemon, server)
    add_StatusServicer_to_server(daemon, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        daemon.may_end.set()
        server.stop(0).wait()
