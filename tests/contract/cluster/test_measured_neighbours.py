"""A neighbour that is measured: whoever plans next must know what was found."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import HostBenchmark, KnownModel, MeasuredModel, NodeFacts, NodeId
from realign_daemon.cluster.membership import PeerChanged
from realign_daemon.cluster.standing import MemberView
from realign_daemon.cluster.subscription import Subscription
from realign_daemon.engine.api import ModelId
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.listener import Listener
from realign_daemon.rpc.neighbours import Neighbours

if TYPE_CHECKING:
    import grpc.aio

LEFT, POCKET = NodeId("left"), ModelId("f" * 64)
BEAT_S = 0.05
UNMEASURED = NodeFacts(
    node_id=LEFT,
    name="left",
    models=(KnownModel(name="pocket", sha256=POCKET, weight_bytes=1, params_b=0.1, active_params_b=0.1, bits=32),),
)
FOUND = MeasuredModel(
    model="pocket",
    model_sha256=POCKET,
    params_b=0.1,
    bits=32,
    prefill_tps=1.0,
    decode_tps=1.0,
    peak_batch_size=32,
    examples_per_s=9.0,
    measured_at="2026-11-23T12:00:00Z",
)
MEASURED = replace(UNMEASURED, benchmark=HostBenchmark(models=(FOUND,)))


class View:
    """Of one node, as its last beat said."""

    def __init__(self) -> None:
        self.facts = UNMEASURED
        self.channel_to: grpc.aio.Channel | None = None
        self._told = Subscription()

    def members(self) -> tuple[MemberView, ...]:
        return (
            MemberView(node=LEFT, state="alive", silent_s=0.0, addresses=(), facts=self.facts, jobs=(), is_self=False),
        )

    def channel(self, node: NodeId) -> grpc.aio.Channel | None:
        return self.channel_to if node == LEFT else None

    def subscribe(self) -> Subscription:
        return self._told

    def beat(self, facts: NodeFacts) -> None:
        self.facts = facts
        self._told.put(PeerChanged(node=LEFT))


async def test_a_node_is_known_to_be_measured_once_it_was_though_its_next_beat_comes_later() -> None:
    view = View()

    async def measure(_model: str, _force: bool) -> NodeFacts:
        asyncio.get_running_loop().call_later(BEAT_S, view.beat, MEASURED)
        return MEASURED

    listener = Listener([ClusterServicer(cast("Any", view), measure).add_to], concurrent_calls=4)
    port = await listener.open(Address(host="127.0.0.1", port=0))
    try:
        async with open_channel(Address(host="127.0.0.1", port=port)) as view.channel_to:
            neighbours = Neighbours(cast("Any", view))
            await neighbours.measure(LEFT, "Pocket")
            (left,) = neighbours.alive()
            assert left.has_measured(POCKET)
            assert left.facts.peak_batch_size == FOUND.peak_batch_size
    finally:
        await listener.close(0.0)
