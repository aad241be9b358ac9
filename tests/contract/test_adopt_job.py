"""Adopting over the wire: a home that can be reached is asked first, whoever leads, then the leader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from tests.contract.test_curation_service import MEBIBYTE, sources_of
from tests.unit.curation.cluster_world import World, folder_of, goes_on, running

from realign_daemon.config import LimitsConfig
from realign_daemon.curation.job import Job
from realign_daemon.rpc.curation_servicer import CurationServicer
from realign_daemon.rpc.homes import Routes
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.trust.keys import SpkiHash
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationStub

if TYPE_CHECKING:
    from realign_proto.v1.curation_pb2_grpc import CurationAsyncStub


@dataclass
class Wired:
    """A world whose nodes can be called; of those that hear each other the first leads."""

    world: World
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict[str, grpc.aio.Channel])
    only: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])  # who reaches whom beyond that

    def stub(self, name: str) -> CurationAsyncStub:
        return CurationStub(self.channels[name])

    def channel(self, by: str, node: str) -> grpc.aio.Channel | None:
        return self.channels[node] if self.world.hears(by, node) or (by, node) in self.only else None

    def leader(self, by: str) -> grpc.aio.Channel | None:
        leader = self.world.nodes[by].living()[0]
        return None if leader == by else self.channels[leader]


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Wired]:
    async with running(tmp_path, "abcd") as world, AsyncExitStack() as stack:
        wired = Wired(world)
        for name, node in world.nodes.items():
            server = grpc.aio.server(interceptors=[FaultInterceptor()])
            CurationServicer(
                jobs=node.home.jobs,
                data_sets=node.home.data_sets,
                blobs=node.home.blobs,
                clock=world.clock,
                routes=Routes(
                    leader=lambda name=name: wired.leader(name),
                    home_of=lambda _: None,
                    others=tuple,
                    own=SpkiHash(""),
                    channel=lambda node, name=name: wired.channel(name, node),
                ),
                node_name=name,
                limits=LimitsConfig(source_bytes=MEBIBYTE),
                sources=sources_of(node.home, name),
                custody=node.custody,
            ).add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, 0)
            wired.channels[name] = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.push_async_callback(wired.channels[name].close)
        yield wired


async def job_of_d(wired: Wired) -> Job:
    """A job of `d` that stands; all four vote on it."""
    job = await wired.world.nodes["d"].held()
    await wired.world.share()
    return job


@pytest.mark.parametrize("asked", ["c", "d"])
async def test_a_home_that_lacks_its_majority_goes_on_without_it_whoever_leads_and_is_asked(
    wired: Wired, asked: str
) -> None:
    d = wired.world.nodes["d"]
    job = await job_of_d(wired)
    wired.world.cut("d")
    await goes_on(d, job)
    assert folder_of(job) == "provisional"
    wired.world.cut("c", "d")
    wired.world.mute = {"c"}  # it may be on its way out, too
    await wired.world.share()
    reply = await wired.stub(asked).AdoptJob(pb.JobRef(job_id=job.spec.job_id))
    assert (reply.id, reply.home) == (job.spec.job_id, "d")
    assert d.home.jobs.get(job.spec.job_id).claim.voters == ("c", "d")


async def test_the_leader_adopts_where_the_home_cannot_be_reached(wired: Wired) -> None:
    job = await job_of_d(wired)
    wired.world.cut("d")
    reply = await wired.stub("c").AdoptJob(pb.JobRef(job_id=job.spec.job_id[:6]))
    assert (reply.id, reply.home) == (job.spec.job_id, "a")


async def test_a_home_that_the_leader_has_lost_and_the_asked_node_reaches_keeps_its_job(wired: Wired) -> None:
    job = await job_of_d(wired)
    wired.world.cut("d")
    wired.only = {("c", "d")}
    with pytest.raises(grpc.aio.AioRpcError, match="there is nothing to adopt"):
        await wired.stub("c").AdoptJob(pb.JobRef(job_id=job.spec.job_id))
    assert await wired.world.nodes["a"].home.decisions.standing(job.spec.job_id, 0) is None


async def test_the_leader_adopts_where_the_home_is_gone_by_the_time_that_it_is_asked(wired: Wired) -> None:
    job = await job_of_d(wired)
    wired.world.cut("d")
    wired.only = {("c", "d")}
    await wired.channels["d"].close()
    wired.channels["d"] = grpc.aio.insecure_channel("127.0.0.1:1")
    reply = await wired.stub("c").AdoptJob(pb.JobRef(job_id=job.spec.job_id))
    assert reply.home == "a"


async def test_a_job_that_nobody_has_heard_of_is_not_found(wired: Wired) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await wired.stub("c").AdoptJob(pb.JobRef(job_id="dpo-none"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
