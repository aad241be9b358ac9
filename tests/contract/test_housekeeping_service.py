"""Removing jobs and garbage between two nodes on loopback that share a journal's tombstones by hand."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from tests.unit.curation.jobs_world import Script

from realign_daemon.config import Config, NodeConfig
from realign_daemon.housekeeping.garbage import KEPT_S
from realign_daemon.housekeeping.sweep import Sweep
from realign_daemon.models.store import ModelStore
from realign_daemon.rpc.housekeeping_servicer import Homes, HousekeepingServicer
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.testing.job_home import JobHome
from realign_daemon.trust.keys import SpkiHash
from realign_proto.v1 import housekeeping_pb2 as pb
from realign_proto.v1.housekeeping_pb2_grpc import HousekeepingStub


class NoUploads:
    def sweep(self) -> None:
        """Nothing was sent."""


@dataclass
class Node:
    name: str
    home: JobHome
    channel: grpc.aio.Channel


@dataclass
class World:
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    away: set[str] = field(default_factory=set[str])

    def others(self, name: str) -> tuple[str, ...]:
        return tuple(other for other in self.nodes if other != name and other not in self.away)

    def channel(self, name: str) -> grpc.aio.Channel | None:
        return None if name in self.away else self.nodes[name].channel


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World()
    async with AsyncExitStack() as stack:
        for name in ("left", "right"):
            home = await stack.enter_async_context(JobHome(tmp_path / name, work=Script().work))
            sweep = Sweep(
                node_id=name,
                database=home.database,
                blobs=home.blobs,
                checkpoints=tmp_path / name / "checkpoints",
                uploads=NoUploads(),
                arriving=ModelStore(home.folder, now_unix_s=0.0),
                ask_homes=Homes(nodes=lambda name=name: world.others(name), channel=world.channel).ask,
                clock=home.clock,
            )
            servicer = HousekeepingServicer(
                sweep=sweep,
                database=home.database,
                config=Config(node=NodeConfig(name=name, data_dir=tmp_path / name)),
                nodes=lambda name=name: world.others(name),
                channel=world.channel,
                own=SpkiHash("00" * 32),
            )
            server = grpc.aio.server(interceptors=[FaultInterceptor()])
            servicer.add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            stack.push_async_callback(server.stop, 0)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.push_async_callback(channel.close)
            world.nodes[name] = Node(name, home, channel)
        yield world


async def job_done(node: Node, text: str = "Sums are easy.") -> str:
    job = await node.home.submit(text)
    await node.home.until_ended(job)
    return job.spec.job_id


def grow_old(node: Node) -> None:
    node.home.clock.advance(2 * KEPT_S)
    for path in node.home.blobs.folder.glob("??/*"):
        os.utime(path, (0, 0))


def freed(garbage: pb.Garbage) -> dict[str, dict[str, int]]:
    return {node.node: {kind.kind: kind.count for kind in node.kinds} for node in garbage.nodes}


async def test_garbage_goes_on_all_nodes_but_for_what_a_job_of_any_of_them_uses(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    gone, there = await job_done(left), await job_done(right)  # of the same units
    await left.home.jobs.remove(gone, by="ada")
    for node in (left, right):
        grow_old(node)
    stub = HousekeepingStub(left.channel)
    assert "results" not in freed(await stub.CollectGarbage(pb.GarbageRequest()))["left"]
    await right.home.jobs.remove(there, by="ada")
    for node in (left, right):
        grow_old(node)
    found = freed(await stub.FindGarbage(pb.GarbageRequest(keep_s=0.0)))
    assert found["left"]["results"] == found["right"]["results"] > 0
    assert freed(await stub.CollectGarbage(pb.GarbageRequest(keep_s=0.0))) == found
    for node in (left, right):
        assert (await node.home.ledger.counts())["results"] == 0


async def test_a_home_that_is_away_is_named_and_keeps_its_results_everywhere(world: World) -> None:
    left, right = world.nodes["left"], world.nodes["right"]
    await left.home.jobs.remove(await job_done(left), by="ada")
    await left.home.database.run(
        lambda c: c.execute("INSERT INTO jobs VALUES ('dpo-9', 't', '{}', 1.0, '', '[]', 'right', '[]', 0, 0, 0)")
    )
    grow_old(left)
    world.away.add(right.name)
    answer = await HousekeepingStub(left.channel).CollectGarbage(pb.GarbageRequest(keep_s=0.0))
    assert (await left.home.ledger.counts())["results"] > 0
    assert "all results stay, as node right could not say" in answer.nodes[0].remarks[0]


async def test_a_length_of_time_that_is_none_is_refused(world: World) -> None:
    for keep_s in (-1.0, float("inf"), float("nan")):
        with pytest.raises(grpc.aio.AioRpcError, match="give one such as 30d with --older-than") as refused:
            await HousekeepingStub(world.nodes["left"].channel).CollectGarbage(pb.GarbageRequest(keep_s=keep_s))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_description_counts_and_says_nothing_that_somebody_wrote(world: World) -> None:
    left = world.nodes["left"]
    job_id = await job_done(left, "canary in the document")
    description = await HousekeepingStub(left.channel).DescribeNode(pb.DescribeNodeRequest())
    assert (description.rows["jobs"], description.rows["results"] > 0) == (1, True)
    assert description.ledger_schema >= 2
    settings = json.loads(description.settings_json)
    assert settings["engine"]["duty_fraction"] == 1.0
    assert settings["node"] == {"name": "set", "data_dir": "set", "witness": False}
    said = description.SerializeToString()
    assert not [word for word in (b"canary", job_id.encode(), str(left.home.folder).encode()) if word in said]
