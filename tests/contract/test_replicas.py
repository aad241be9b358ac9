"""Jobs whose home is away are shown as what is known of them, and a submit says on how many disks a job is."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from tests.contract.test_curation_service import MEBIBYTE, sources_of
from tests.unit.curation.jobs_world import Script

from realign_daemon.config import LimitsConfig
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.replicas import Away, Replicas
from realign_daemon.curation.spec import to_json
from realign_daemon.rpc.caller import CALLER
from realign_daemon.rpc.curation_servicer import CurationServicer
from realign_daemon.rpc.homes import Routes
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.testing.job_home import JobHome
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.principal import OWNER, Principal
from realign_daemon.work.ledger import Ledger, StoredJob
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationStub

if TYPE_CHECKING:
    from realign_proto.v1.curation_pb2_grpc import CurationAsyncStub

HEARD_UNIX_S = 1_800_000_000.0
WARNING = "as of 2027-01-15 08:00 UTC: its home studio cannot be reached"


class Door(grpc.aio.ServerInterceptor):
    """Lets everybody in as `who`."""

    who = OWNER

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        CALLER.set(self.who)
        return await continuation(handler_call_details)


@dataclass
class World:
    """A node, and what it knows of the rest of the cluster."""

    home: JobHome
    stub: CurationAsyncStub
    door: Door
    copies: int = 2
    studio_is_away: bool = True

    async def hear_of(self, name: str, *, owner: str = "", token: str = "", told: bool = True) -> None:
        """A job homed at the studio, as this node's own job was when it was submitted."""
        own = await self.home.submit(pilot="only")
        spec = to_json(own.spec).replace(own.spec.job_id, name)
        record = record_to_json(own.record) if told else ""
        stored = StoredJob(
            job_id=name, client_token=token, spec=spec, record=record, created_unix_s=HEARD_UNIX_S, owner=owner
        )
        await Ledger(self.home.database, node_id="studio-id").add_job(stored)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(JobHome(tmp_path, work=Script().work))
        door = Door()
        server = grpc.aio.server(interceptors=[door, FaultInterceptor()])
        port = server.add_insecure_port("127.0.0.1:0")
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        stack.push_async_callback(channel.close)
        world = World(home, CurationStub(channel), door)

        def away(node: str) -> Away | None:
            is_away = world.studio_is_away and node == "studio-id"
            return Away(name="studio", heard_unix_s=HEARD_UNIX_S) if is_away else None

        async def copies(_: str) -> int:
            return world.copies

        CurationServicer(
            jobs=home.jobs,
            data_sets=home.data_sets,
            blobs=home.blobs,
            clock=home.clock,
            routes=Routes(leader=lambda: None, home_of=lambda _: None, others=lambda: (channel,), own=SpkiHash("")),
            node_name="mini",
            limits=LimitsConfig(source_bytes=MEBIBYTE),
            sources=sources_of(home, "mini"),
            replicas=Replicas(home.ledger, away=away, copies=copies),
        ).add_to(server)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        yield world


async def submission(token: str = "") -> AsyncIterator[pb.SubmitRequest]:
    text = b"Sums are easy."
    source = pb.Source(name="a.txt", sha256=hashlib.sha256(text).hexdigest(), size_bytes=len(text))
    request = pb.JobRequest(
        text="DPO pairs", data_type="dpo", model="pocket", sources=[source], client_token=token, pilot="only"
    )
    yield pb.SubmitRequest(request=request)
    yield pb.SubmitRequest(bytes=pb.SourceBytes(sha256=source.sha256, data=text))


async def test_a_job_of_a_node_that_is_away_is_shown_as_what_is_known_of_it(world: World) -> None:
    await world.hear_of("dpo-yonder")
    for job in (
        await world.stub.GetJob(pb.JobRef(job_id="dpo-y")),
        next(job for job in (await world.stub.ListJobs(pb.ListJobsRequest())).jobs if job.id == "dpo-yonder"),
    ):
        assert (job.id, job.home, job.warnings[0]) == ("dpo-yonder", "studio", WARNING)


@pytest.mark.parametrize("told", [True, False], ids=["its home can be reached", "its record has not come yet"])
async def test_what_is_not_known_or_known_better_elsewhere_is_not_shown(world: World, told: bool) -> None:
    await world.hear_of("dpo-yonder", told=told)
    world.studio_is_away = not told
    with pytest.raises(grpc.aio.AioRpcError, match="no node that can be reached"):
        await world.stub.GetJob(pb.JobRef(job_id="dpo-yonder"))
    assert "dpo-yonder" not in [job.id for job in (await world.stub.ListJobs(pb.ListJobsRequest())).jobs]


async def test_a_job_of_a_node_that_is_away_cannot_be_changed(world: World) -> None:
    await world.hear_of("dpo-yonder")
    for call in (world.stub.CancelJob, world.stub.ResumeJob):
        with pytest.raises(grpc.aio.AioRpcError, match="no node that can be reached"):
            await call(pb.JobRef(job_id="dpo-yonder"))


async def test_who_may_see_only_its_own_jobs_sees_no_other_as_a_replica_either(world: World) -> None:
    await world.hear_of("dpo-yonder", owner="somebody")
    world.door.who = Principal(kind="client", role="submit", name="laptop", spki=SpkiHash("another"), node_id=None)
    with pytest.raises(grpc.aio.AioRpcError, match="submitted by somebody else"):
        await world.stub.GetJob(pb.JobRef(job_id="dpo-yonder"))
    assert list((await world.stub.ListJobs(pb.ListJobsRequest())).jobs) == []


@pytest.mark.parametrize(("copies", "is_warned"), [(2, False), (1, True)])
async def test_a_submit_says_on_how_many_disks_the_job_is(world: World, copies: int, is_warned: bool) -> None:
    world.copies = copies
    reply = await world.stub.Submit(submission())
    assert reply.copies == copies
    assert any("on the disk of mini only so far" in warning for warning in reply.warnings) == is_warned


async def test_a_submit_that_another_node_took_before_gives_that_job(world: World) -> None:
    await world.hear_of("dpo-yonder", token="token", owner=OWNER.key)
    before = len(world.home.jobs.all())
    assert (await world.stub.Submit(submission("token"))).job_id == "dpo-yonder"
    assert len(world.home.jobs.all()) == before
