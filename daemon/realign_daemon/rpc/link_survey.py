"""Link survey: how fast the network to each other node is, measured over the connections that there are anyway."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from statistics import median

import grpc.aio

from realign_daemon.clock import Clock
from realign_daemon.cluster.facts import MeasuredLink, NodeId
from realign_daemon.rpc.cluster_servicer import MAX_ECHO_BYTES
from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub

EVERY_S = 60.0
LOOK_EVERY_S = 5.0  # how soon a node that has come is measured
TURNS = 5  # of small messages, and of long ones; the median counts
KEPT = 5  # surveys of a link; their median counts, lest one in a busy moment upset a plan
TIMEOUT_S = 5.0  # of a message: a link that needs longer is not fit for groups
# What is left of a message's time on loopback when gRPC's part is taken off: a sum of MLX's ring over two ranks of one
# machine took 28 us (2026-11-22). No link is faster.
LOOPBACK_S = 28e-6
FASTEST_BYTES_PER_S = 10e9  # where a long message took no measurable time


class LinkSurvey:
    """Measures every minute, and when a node has come, while `run` runs."""

    def __init__(
        self,
        *,
        node: NodeId,
        others: Callable[[], Iterable[NodeId]],
        channel: Callable[[NodeId], grpc.aio.Channel | None],
        clock: Clock,
    ) -> None:
        """`channel` leads to this node, too."""
        self._node = node
        self._others = others
        self._channel = channel
        self._clock = clock
        self._measured: dict[NodeId, deque[MeasuredLink]] = {}
        self._links: tuple[MeasuredLink, ...] = ()

    def links(self) -> tuple[MeasuredLink, ...]:
        """The links to the nodes that answered a short while ago, by node id."""
        return self._links

    async def run(self) -> None:
        """Measures the links, one after the other, until cancelled."""
        asked, due_s = frozenset[NodeId](), 0.0
        while True:
            others, now_s = frozenset(self._others()), self._clock.continuous()
            if others - asked or now_s >= due_s:
                await self.measure()
                due_s = now_s + EVERY_S
            asked = others
            await self._clock.sleep(LOOK_EVERY_S)

    async def measure(self) -> None:
        """Measures the link to every other node once; a node that does not answer has none."""
        await self._measure(tuple(self._others()))
        self._links = tuple(
            MeasuredLink(
                node=node,
                latency_s=median(one.latency_s for one in kept),
                bytes_per_s=median(one.bytes_per_s for one in kept),
            )
            for node, kept in sorted(self._measured.items())
        )

    async def _measure(self, others: Collection[NodeId]) -> None:
        for node in [node for node in self._measured if node not in others]:
            del self._measured[node]
        own_s = await self._round_trip_s(self._node, 0) if others else None
        if own_s is None:
            return
        for node in others:
            short_s = await self._round_trip_s(node, 0)
            long_s = await self._round_trip_s(node, MAX_ECHO_BYTES)
            if short_s is None or long_s is None:
                self._measured.pop(node, None)
                continue
            link = MeasuredLink(
                node=node,
                latency_s=max(LOOPBACK_S, (short_s - own_s) / 2),  # both have gRPC's time in them
                bytes_per_s=MAX_ECHO_BYTES / max(long_s - short_s, MAX_ECHO_BYTES / FASTEST_BYTES_PER_S),
            )
            self._measured.setdefault(node, deque(maxlen=KEPT)).append(link)

    async def _round_trip_s(self, node: NodeId, reply_bytes: int) -> float | None:
        """The median seconds to an answer of that length; None where none comes."""
        channel = self._channel(node)
        if channel is None:
            return None
        took_s: list[float] = []
        for _ in range(TURNS):
            began_s = self._clock.awake()
            try:
                await ClusterStub(channel).Echo(cluster_pb2.EchoRequest(reply_bytes=reply_bytes), timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError:  # it left, or is too old to have this
                return None
            took_s.append(self._clock.awake() - began_s)
        return median(took_s)
