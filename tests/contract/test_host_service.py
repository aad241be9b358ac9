"""The host service over gRPC: what is passed on, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeFacts, NodeId
from realign_daemon.host.sleep import Sleep
from realign_daemon.rpc.host_servicer import HostServicer
from realign_daemon.rpc.server import Server
from realign_proto.v1 import facts_pb2, host_pb2
from realign_proto.v1.host_pb2_grpc import HostStub

FACTS = NodeFacts(
    node_id=NodeId("n"),
    name="left",
    paused=True,
    user_active=True,
    refusal="its owner has paused it",
    pause_left_s=7200.0,
    last_sleep=Sleep(slept_s=60.0, woke_unix_s=5.0),
)


class Pausing:
    def __init__(self) -> None:
        self.asked: list[object] = []

    async def pause(self, seconds: float | None) -> None:
        self.asked.append(seconds)

    async def resume(self) -> None:
        self.asked.append("resume")


@pytest.fixture
def pausing() -> Pausing:
    return Pausing()


@pytest.fixture
async def channel(tmp_path: Path, pausing: Pausing) -> AsyncIterator[grpc.aio.Channel]:
    server = Server(data_dir=tmp_path, listen=Address(host="127.0.0.1", port=0))
    async with (
        server.serve(HostServicer(pausing, lambda: FACTS).add_to),
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        yield channel


async def test_a_node_is_paused_and_resumed_and_answers_with_its_facts(
    channel: grpc.aio.Channel, pausing: Pausing
) -> None:
    stub = HostStub(channel)

    first = await stub.PauseNode(host_pb2.PauseNodeRequest(seconds=7200.0))
    await stub.PauseNode(host_pb2.PauseNodeRequest())
    await stub.ResumeNode(host_pb2.ResumeNodeRequest())

    assert pausing.asked == [7200.0, None, "resume"]
    sleep = facts_pb2.MachineSleep(slept_s=60.0, woke_unix_s=5.0)
    assert (first.paused, first.user_active, first.pause_left_s, first.last_sleep) == (True, True, 7200.0, sleep)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
async def test_a_pause_of_no_length_is_refused(channel: grpc.aio.Channel, pausing: Pausing, seconds: float) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="give a length such as 2h"):
        await HostStub(channel).PauseNode(host_pb2.PauseNodeRequest(seconds=seconds))
    assert pausing.asked == []
