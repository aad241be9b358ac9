"""Peers: the connections from this node to others, made and kept up for as long as `run` runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import grpc.aio
import structlog

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.greeting import Greeting, Welcome
from realign_daemon.cluster.timing import DEFAULT, Timing
from realign_daemon.rpc.channels import OpenChannel, open_channel
from realign_daemon.rpc.convert import beat_from_wire, beat_to_wire, greeting_to_wire, welcome_from_wire
from realign_daemon.rpc.faults import error_of_call
from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub

log = structlog.get_logger()


class Conversation(Protocol):
    """This node's side of what is said over a connection."""

    def greeting(self) -> Greeting:
        """How this node introduces itself."""
        ...

    def met(self, node: NodeId, addresses: tuple[Address, ...]) -> None:
        """A node answered or asked, and can be dialled at these addresses, the one that just worked first."""
        ...

    def heard(self, beat: Beat) -> None:
        """Another node's beat came."""
        ...

    def beats(self) -> AsyncIterator[Beat]:
        """This node's beat now, and every new one; one that nobody took in time is left out."""
        ...

    def talking(self, node: NodeId) -> AbstractContextManager[None]:
        """Holds for as long as beats are exchanged with the node over one connection."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class _Link:
    channel: grpc.aio.Channel
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class Peers:
    """Dials every wanted address, again and again, and holds one channel to each node that answers."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        open_channel: OpenChannel = open_channel,
        insecure_lan: bool = False,
        timing: Timing = DEFAULT,
    ) -> None:
        """Without insecure_lan no address beyond loopback is ever dialled."""
        self._conversation = conversation
        self._open_channel = open_channel
        self._insecure_lan = insecure_lan
        self._timing = timing
        self._wanted: frozenset[Address] = frozenset()
        self._changed = asyncio.Event()
        self._links: dict[NodeId, _Link] = {}
        self._own: set[Address] = set()  # addresses at which this node answered itself
        self._refusals: dict[Address, str] = {}

    def channel(self, node: NodeId) -> grpc.aio.Channel | None:
        """An open channel to the node; None while there is none. It stays this module's to close."""
        link = self._links.get(node)
        return link.channel if link else None

    @property
    def refusals(self) -> Mapping[Address, str]:
        """Why a node that answers there is no peer: one sentence for each address."""
        return dict(self._refusals)

    def want(self, addresses: Iterable[Address]) -> None:
        """Dials exactly these from now on. A connection that stands is not ended by it."""
        wanted = frozenset(address for address in addresses if self._insecure_lan or address.is_loopback)
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def run(self) -> None:
        """Keeps the connections until it is cancelled; then closes all."""
        dialling: dict[Address, asyncio.Task[None]] = {}

        def ended(address: Address) -> None:
            del dialling[address]
            self._changed.set()  # it may be wanted again by now

        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for address in sorted(self._wanted - self._own):
                    if address not in dialling:
                        dial = self._dial_for_ever(address)
                        dialling[address] = tasks.create_task(dial, name=f"peers.dial {address}")
                        dialling[address].add_done_callback(lambda _, gone=address: ended(gone))
                await self._changed.wait()

    async def _dial_for_ever(self, address: Address) -> None:
        """Ends once nobody wants the address any more, or when it is this node's own."""
        wait_s = self._timing.redial_s
        while address in self._wanted and address not in self._own:
            if await self._connect(address):
                wait_s = self._timing.redial_s
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, self._timing.redial_max_s)

    async def _connect(self, address: Address) -> bool:
        """Dials and stays for as long as it lasts. Whether a node of this cluster answered."""
        channel = self._open_channel(address)
        try:
            welcome = await self._hello(channel, address)
            if welcome is None:
                return False
            standing = self._links.get(welcome.node)
            if standing is None:
                await self._stay(welcome, channel)
                return True
        finally:
            await channel.close()
        await standing.closed.wait()
        return True

    async def _hello(self, channel: grpc.aio.Channel, address: Address) -> Welcome | None:
        ours = self._conversation.greeting()
        try:
            reply = await ClusterStub(channel).Hello(greeting_to_wire(ours), timeout=self._timing.call_s)
        except grpc.aio.AioRpcError as failure:
            self._refused(address, failure)
            return None
        self._refusals.pop(address, None)
        welcome = welcome_from_wire(reply)
        if welcome.node == ours.node:
            self._own.add(address)
            return None
        self._conversation.met(welcome.node, (address, *(other for other in welcome.addresses if other != address)))
        return welcome

    def _refused(self, address: Address, failure: grpc.aio.AioRpcError) -> None:
        sentence = str(error_of_call(failure))
        if failure.code() is grpc.StatusCode.FAILED_PRECONDITION and self._refusals.get(address) != sentence:
            self._refusals[address] = sentence
            log.warning("peer.refused", address=str(address), reason=sentence)
        else:
            log.debug("peer.unreachable", address=str(address), reason=sentence)

    async def _stay(self, welcome: Welcome, channel: grpc.aio.Channel) -> None:
        link = _Link(channel=channel)
        self._links[welcome.node] = link
        log.info("peer.connected", node=welcome.node, name=welcome.name, version=welcome.version)
        reason = "the stream ended or no beat came"
        try:
            await self._exchange_beats(welcome.node, channel)
        except grpc.aio.AioRpcError as failure:
            reason = str(error_of_call(failure))
        finally:
            del self._links[welcome.node]
            link.closed.set()
            log.info("peer.disconnected", node=welcome.node, name=welcome.name, reason=reason)

    async def _exchange_beats(self, node: NodeId, channel: grpc.aio.Channel) -> None:
        call = ClusterStub(channel).Heartbeat(_wire(self._conversation.beats()))
        try:
            with self._conversation.talking(node):
                async for beat in received(aiter(call), timeout_s=self._timing.dead_s):
                    if beat.node == node:
                        self._conversation.heard(beat)
        finally:
            call.cancel()


async def received(wires: AsyncIterator[cluster_pb2.Beat], *, timeout_s: float) -> AsyncIterator[Beat]:
    """Another node's beats until its stream ends, or no beat came for so long: then the connection is of no use."""
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                wire = await anext(wires, None)
        except TimeoutError:
            return
        if wire is None:
            return
        yield beat_from_wire(wire)


async def _wire(beats: AsyncIterator[Beat]) -> AsyncIterator[cluster_pb2.Beat]:
    async for beat in beats:
        yield beat_to_wire(beat)
