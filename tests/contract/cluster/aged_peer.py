"""Aged peer: a node of another release on loopback, which knows nothing but how to meet.

It is written against the bytes of the wire, not against this release's servicers: what it says comes from messages that
lack the fields of a later release, or have fields that this release does not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from realign_daemon.cluster.addresses import Address
from realign_proto.v1 import cluster_pb2 as pb
from realign_proto.v1 import facts_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub

NODE = "aged"
BEAT_S = 0.1
DEADLINE_S = 15.0
UNKNOWN = bytes.fromhex("a23804" + "66757475" + "a83801")  # field 900: four characters; field 901: the number 1

M = TypeVar("M", bound=Message)


@dataclass(kw_only=True)
class AgedPeer:
    """What it speaks and how it says so."""

    tag: str
    min_protocol: int
    max_protocol: int
    chooses: int | None = None  # whatever the other one speaks; None: as it should
    is_old: bool = False  # its messages lack what this release has added since
    is_new: bool = False  # its messages have what this release does not know
    leads: bool = False  # says so, once it hears another node
    version: str = "9.9"
    address: Address = field(init=False)
    heard: list[pb.Beat] = field(default_factory=list[pb.Beat])
    greeted: list[pb.HelloRequest] = field(default_factory=list[pb.HelloRequest])

    async def hello_to(self, address: Address) -> pb.HelloReply:
        """Introduces itself there."""
        async with grpc.aio.insecure_channel(str(address)) as channel:
            return await ClusterStub(channel).Hello(
                pb.HelloRequest(
                    min_protocol=self.min_protocol,
                    max_protocol=self.max_protocol,
                    cluster_tag=self.tag,
                    node_id=NODE,
                    name=NODE,
                    version=self.version,
                    addresses=[str(self.address)],
                ),
                timeout=5,
            )

    def answer(self, request: pb.HelloRequest) -> pb.HelloReply:
        """To a Hello."""
        self.greeted.append(request)
        reply = pb.HelloReply(
            protocol=min(self.max_protocol, request.max_protocol) if self.chooses is None else self.chooses,
            node_id=NODE,
            name=NODE,
            version=self.version,
        )
        if not self.is_old:
            reply.min_protocol, reply.max_protocol = self.min_protocol, self.max_protocol
        return self._aged(reply)

    async def beats(self) -> AsyncIterator[pb.Beat]:
        """Its own, one after the other."""
        sequence = 0
        while True:
            sequence += 1
            power = facts_pb2.Power(source="fusion" if self.is_new else "ac")
            state = "dreaming" if self.is_new else "ready"
            facts = facts_pb2.NodeFacts(name=NODE, power=power, engine=facts_pb2.EngineState(state=state))
            if not self.is_old:
                facts.protocol = self.max_protocol
                facts.features.append("of-another-release")
            beat = pb.Beat(node_id=NODE, boot_id="b", sequence=sequence, facts=self._aged(facts))
            if self.leads and self.heard:
                beat.term, beat.leader = self.heard[-1].term + (self.heard[-1].leader != NODE), NODE
            yield self._aged(beat)
            await asyncio.sleep(BEAT_S)

    def _aged(self, message: M) -> M:
        if self.is_new:
            message.MergeFromString(UNKNOWN)
        return message


@asynccontextmanager
async def running(peer: AgedPeer) -> AsyncGenerator[AgedPeer]:
    """The peer, answering on a free port until the block ends."""

    async def hello(request: bytes, _: object) -> bytes:
        return peer.answer(pb.HelloRequest.FromString(request)).SerializeToString()

    async def heartbeat(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
        async def listen() -> None:
            async for request in requests:
                peer.heard.append(pb.Beat.FromString(request))

        listening = asyncio.create_task(listen())
        try:
            async for beat in peer.beats():
                yield beat.SerializeToString()
        finally:
            listening.cancel()

    cluster = grpc.method_handlers_generic_handler(
        "realign.v1.Cluster",
        {
            "Hello": grpc.unary_unary_rpc_method_handler(hello),
            "Heartbeat": grpc.stream_stream_rpc_method_handler(heartbeat),
        },
    )
    async with serving([cluster]) as port:
        peer.address = Address(host="127.0.0.1", port=port)
        yield peer


@asynccontextmanager
async def serving(handlers: Sequence[grpc.GenericRpcHandler]) -> AsyncGenerator[int]:
    """The port of a server with these and nothing else."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(handlers))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def until(condition: Callable[[], object]) -> None:
    """Returns once the condition of a running cluster holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - a condition of a running cluster, not of one object
            await asyncio.sleep(0.02)
