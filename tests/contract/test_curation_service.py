"""The curation service between two nodes on loopback: calls go to the job's home, and an append asks it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from tests.unit.curation.jobs_world import Script

from realign_daemon.config import LimitsConfig
from realign_daemon.curation.job import Job
from realign_daemon.engine.api import Sha256
from realign_daemon.files.share import Shares
from realign_daemon.files.staging import Staging
from realign_daemon.rpc.curation_servicer import CurationServicer
from realign_daemon.rpc.homes import Routes
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.rpc.sources import Holders, Sources
from realign_daemon.testing.job_home import JobHome
from realign_daemon.trust.keys import SpkiHash
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationStub

if TYPE_CHECKING:
    from realign_proto.v1.curation_pb2_grpc import CurationAsyncStub

MEBIBYTE = 2**20


@dataclass
class Node:
    home: JobHome
    script: Script
    channel: grpc.aio.Channel

    @property
    def stub(self) -> CurationAsyncStub:
        return CurationStub(self.channel)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes; the first one leads."""
    made: list[Node] = []

    def others(number: int) -> tuple[grpc.aio.Channel, ...]:
        return tuple(node.channel for index, node in enumerate(made) if index != number)

    def home_of(number: int, reference: str) -> grpc.aio.Channel | None:
        having = (node.channel for index, node in enumerate(made) if index != number and node.home.jobs.find(reference))
        return next(having, None)

    async with AsyncExitStack() as stack:
        for number, name in enumerate(("leader", "other")):
            script = Script()
            home = await stack.enter_async_context(JobHome(tmp_path / name, work=script.work))
            servicer = CurationServicer(
                jobs=home.jobs,
                data_sets=home.data_sets,
                blobs=home.blobs,
                clock=home.clock,
                routes=Routes(
                    leader=lambda number=number: made[0].channel if number else None,
                    home_of=lambda reference, number=number: home_of(number, reference),
                    others=lambda number=number: others(number),
                    own=SpkiHash(""),
                ),
                node_name=name,
                limits=LimitsConfig(source_bytes=MEBIBYTE),
                sources=sources_of(home, name),
            )
            server = grpc.aio.server(interceptors=[FaultInterceptor()])
            servicer.add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, 0)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.push_async_callback(channel.close)
            made.append(Node(home, script, channel))
        yield made[0], made[1]


def sources_of(home: JobHome, name: str) -> Sources:
    """Sources of a node without shares that fetches nothing from others."""

    async def fetch(_node: str, _sha256: Sha256) -> None:
        raise ConnectionError("nothing is fetched here")

    holders = Holders(own=frozenset({name}), named=lambda _name: None, others=tuple, fetch=fetch)
    staging = Staging(home.blobs, clock=home.clock, client_bytes=MEBIBYTE, source_bytes=MEBIBYTE)
    shares = Shares({}, home.blobs, source_bytes=MEBIBYTE)
    return Sources(
        node_id=name, blobs=home.blobs, staging=staging, shares=shares, holders=holders, source_bytes=MEBIBYTE
    )


async def ended(node: Node) -> Job:
    job = await node.home.submit()
    await node.home.until_ended(job)
    return job


async def submission(append_job: str) -> AsyncIterator[pb.SubmitRequest]:
    text = b"Sums are easy."
    source = pb.Source(name="a.txt", sha256=hashlib.sha256(text).hexdigest(), size_bytes=len(text))
    yield pb.SubmitRequest(
        request=pb.JobRequest(
            text="DPO pairs", data_type="dpo", model="pocket", sources=[source], append_job=append_job
        )
    )
    yield pb.SubmitRequest(bytes=pb.SourceBytes(sha256=source.sha256, data=text))


@pytest.mark.parametrize("asked", [0, 1], ids=["asked at the leader", "asked elsewhere"])
@pytest.mark.parametrize("homed", [0, 1], ids=["homed at the leader", "homed elsewhere"])
async def test_a_job_appends_to_a_job_of_any_node_whichever_is_asked(
    nodes: tuple[Node, Node], asked: int, homed: int
) -> None:
    earlier = await ended(nodes[homed])
    reply = await nodes[asked].stub.Submit(submission(earlier.spec.job_id[:8]))
    job = nodes[0].home.jobs.get(reply.job_id)
    assert job.spec.earlier is not None
    rows = nodes[0].home.blobs.read(job.spec.earlier).splitlines()
    assert [json.loads(row) for row in rows] == [{"prompt": "1+1="}]


async def test_a_job_that_no_node_has_or_that_wrote_nothing_cannot_be_appended_to(nodes: tuple[Node, Node]) -> None:
    waiting = await nodes[1].home.submit(pilot="only")
    await nodes[1].home.until(waiting, lambda job: job.record.state == "paused")
    for name, said in (
        ("sft-0", "no node that can be reached has a job 'sft-0'"),
        (waiting.spec.job_id, "no rows yet"),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match=said):
            await nodes[1].stub.Submit(submission(name))
    assert nodes[0].home.jobs.all() == ()


async def test_questions_come_in_parts_that_messages_hold_and_all_of_them_once(nodes: tuple[Node, Node]) -> None:
    job = await ended(nodes[1])
    long = ["é" * 200_000 + str(number) for number in range(5)]
    rows = "".join(json.dumps({"id": str(number), "prompt": text}) + "\n" for number, text in enumerate(long))
    (Path(job.record.output) / "train.jsonl").write_text(rows)
    got = [part async for part in nodes[0].stub.ListQuestions(pb.JobRef(job_id=job.spec.job_id))]
    assert [question for part in got for question in part.questions] == long
    assert all(part.ByteSize() <= MEBIBYTE for part in got)


async def test_a_list_of_jobs_leaves_out_what_may_be_large_and_get_has_it(nodes: tuple[Node, Node]) -> None:
    job = await ended(nodes[1])
    (listed,) = (await nodes[0].stub.ListJobs(pb.ListJobsRequest())).jobs
    whole = await nodes[0].stub.GetJob(pb.JobRef(job_id=job.spec.job_id))
    large = ("spec_json", "plan_json", "pilot_json", "summary_json")
    assert all(getattr(whole, name) for name in large)
    for name in large:
        whole.ClearField(name)
    assert listed == whole


async def test_a_job_is_looked_at_thinned_out_and_fetched_from_any_node(nodes: tuple[Node, Node]) -> None:
    job = await ended(nodes[1])
    name = job.spec.job_id
    stub = nodes[0].stub
    sample = await stub.SampleRows(pb.SampleRequest(job_id=name))
    assert (sample.of, sample.total) == ("rows", 1)
    row = json.loads(sample.items_json[0])
    report = await stub.ExplainRow(pb.RowRef(job_id=name, row=row["id"][:10]))
    assert json.loads(report.provenance_json)["question"] == row["prompt"]
    shown = await stub.SampleRows(pb.SampleRequest(job_id=name, stage="train_dpo"))
    assert [json.loads(item) for item in shown.items_json] == [{"made": "train_dpo"}]
    dropped = await stub.DropRows(pb.DropRequest(job_id=name, conditions=[f"row {row['id'][:10]}"]))
    assert (dropped.dropped, dropped.job.spec_json.count(row["id"])) == (1, 1)
    files = {chunk.path async for chunk in stub.FetchOutput(pb.JobRef(job_id=name))}
    assert {"train.jsonl", "summary.json", "SHA256SUMS"} < files
    with pytest.raises(grpc.aio.AioRpcError, match="was rejected in drop: dropped by hand: row"):
        await stub.ExplainRow(pb.RowRef(job_id=name, row=row["id"]))
    left_out = await stub.SampleRows(pb.SampleRequest(job_id=name, rejected=True))
    reasons = {json.loads(item)["reason"] for item in left_out.items_json}
    assert reasons == {"a tie", f"dropped by hand: row {row['id']}"}


async def test_an_ended_job_is_removed_from_any_node_and_a_running_one_is_not(nodes: tuple[Node, Node]) -> None:
    job = await ended(nodes[1])
    waiting = await nodes[1].home.submit(pilot="only")
    await nodes[1].home.until(waiting, lambda job: job.record.state == "paused")
    stub, reference = nodes[0].stub, pb.JobRef(job_id=job.spec.job_id)
    listed = await stub.ListOutput(reference)
    assert {"train.jsonl", "summary.json"} < {file.path for file in listed.files}
    removed = await stub.RemoveJob(reference)
    assert (removed.files, removed.bytes) == (len(listed.files), sum(file.size_bytes for file in listed.files))
    assert await nodes[1].home.output.files(job.spec.job_id) == ()
    with pytest.raises(grpc.aio.AioRpcError, match="no node that can be reached has a job"):
        await stub.GetJob(reference)
    with pytest.raises(grpc.aio.AioRpcError, match="end it first with `realignctl cancel"):
        await stub.RemoveJob(pb.JobRef(job_id=waiting.spec.job_id))


async def test_a_watcher_of_a_cancelled_job_hears_of_its_end_when_the_files_are_there(nodes: tuple[Node, Node]) -> None:
    home, script = nodes[1].home, nodes[1].script
    script.held = "train_dpo"
    job = await home.submit()
    await script.reached.wait()
    events = nodes[0].stub.WatchJob(pb.JobRef(job_id=job.spec.job_id))
    assert (await anext(aiter(events))).job.state == "running"
    told = await nodes[0].stub.CancelJob(pb.JobRef(job_id=job.spec.job_id))
    assert told.state == "cancelled"
    last = [event async for event in events][-1]
    assert (last.kind, last.job.state, last.job.exit_code) == ("ended", "cancelled", 1)
    assert (Path(last.job.output) / "summary.json").is_file()
    again = [event async for event in nodes[0].stub.WatchJob(pb.JobRef(job_id=job.spec.job_id))]
    assert [event.kind for event in again] == ["snapshot"]
