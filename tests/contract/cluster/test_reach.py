"""Which node has dialled which: what a firewall keeps out shows in the status."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc.aio
import pytest

from realign_daemon.cluster.greeting import MAX_PROTOCOL
from realign_daemon.testing.loopback_node import LoopbackNode, loopback_node
from realign_proto.v1 import cluster_pb2, facts_pb2, status_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub
from realign_proto.v1.status_pb2_grpc import StatusStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.deadline(60)

TAG = "test"
CALLER = "c" * 26


async def reach(node: LoopbackNode) -> dict[str, tuple[bool | None, bool | None]]:
    """Name -> it dials the node, the node dials it."""
    async with grpc.aio.insecure_channel(str(node.address)) as channel:
        status = await StatusStub(channel).GetStatus(status_pb2.StatusRequest(), timeout=5)
    return {
        member.name: (
            member.dials_here if member.HasField("dials_here") else None,
            member.is_dialled if member.HasField("is_dialled") else None,
        )
        for member in status.members
    }


async def until_reached(node: LoopbackNode, expected: dict[str, tuple[bool | None, bool | None]]) -> None:
    while await reach(node) != expected:  # noqa: ASYNC110 - a condition of a running cluster, not of one object
        await asyncio.sleep(0.05)


async def test_nodes_that_dial_each_other_say_so_of_each_other_and_nothing_of_themselves(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag=TAG) as first,
        loopback_node(tmp_path / "second", tag=TAG, peers=(first.address,)) as second,
    ):
        await until_reached(first, {"first": (None, None), "second": (True, True)})
        await until_reached(second, {"second": (None, None), "first": (True, True)})


async def test_a_node_behind_a_firewall_calls_and_is_not_dialled(tmp_path: Path) -> None:
    async with (
        loopback_node(tmp_path / "first", tag=TAG) as first,
        grpc.aio.insecure_channel(str(first.address)) as channel,
    ):
        stub = ClusterStub(channel)
        greeting = cluster_pb2.HelloRequest(
            min_protocol=1,
            max_protocol=MAX_PROTOCOL,
            cluster_tag=TAG,
            node_id=CALLER,
            name="shut",
            addresses=["127.0.0.1:9"],
        )
        await stub.Hello(greeting, timeout=5)

        async def beats() -> AsyncIterator[cluster_pb2.Beat]:
            for sequence in range(1, 1000):
                facts = facts_pb2.NodeFacts(node_id=CALLER, name="shut")
                yield cluster_pb2.Beat(node_id=CALLER, sequence=sequence, boot_id="b", facts=facts)
                await asyncio.sleep(0.1)

        call = stub.Heartbeat(beats())
        await until_reached(first, {"first": (None, None), "shut": (True, False)})
        call.cancel()
