"""Peers: the connections from this node to others, made and kept up for as long as `run` runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc.aio
import structlog

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.greeting import Greeting, Welcome, check_welcome
from realign_daemon.cluster.refusals import Refusals
from realign_daemon.cluster.timing import DEFAULT, Timing
from realign_daemon.errors import Incompatible, NotAllowed
from realign_daemon.rpc.channels import OpenChannel, open_channel
from realign_daemon.rpc.convert import beat_from_wire, beat_to_wire, greeting_to_wire, welcome_from_wire
from realign_daemon.rpc.faults import error_of_call
from realign_proto.handshake import explain_handshake
from realign_proto.v1 import cluster_pb2
from realign_proto.v1.cluster_pb2_grpc import ClusterStub

log = structlog.get_logger()

CALLERS_KEPT = 3  # times the longest wait between two dials: who was turned away and calls no more is forgotten

# How a node says that it will have nothing to do with this one; the last is what something else there says.
REFUSING = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)


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

    def is_news(self, node: NodeId, boot: str, sequence: int) -> bool:
        """Whether that beat, or a later one, did not come already over another connection."""
        ...

    def beats(self) -> AsyncIterator[Beat]:
        """This node's beat now, and every new one; one that nobody took in time is left out."""
        ...

    def talking(self, node: NodeId) -> AbstractContextManager[None]:
        """Holds for as long as beats are exchanged with the node over one connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to dial, and the node that is to answer there, None for any of the cluster."""

    address: Address
    expects: NodeId | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Link:
    address: Address
    channel: grpc.aio.Channel
    task: asyncio.Task[Any] | None  # that keeps it up
    closed: asyncio.Event = field(default_factory=asyncio.Event)


def _nothing_against(_node: NodeId) -> str | None:
    return None


class Peers:
    """Dials every wanted address, again and again, and holds one channel to each node that answers."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        open_channel: OpenChannel = open_channel,
        refuses: Callable[[NodeId], str | None] = _nothing_against,
        timing: Timing = DEFAULT,
    ) -> None:
        """`refuses` says why this node has nothing to do with another one, None when it may."""
        self.is_exact = False  # whether a node can be told from another one, by its certificate
        self._conversation = conversation
        self._open_channel = open_channel
        self._refuses = refuses
        self._timing = timing
        self._wanted: frozenset[Target] = frozenset()
        self._changed = asyncio.Event()
        self._dialling: dict[Target, asyncio.Task[None]] = {}
        self._resting: dict[Target, asyncio.Event] = {}  # until it is dialled again, or was heard to be there
        self._links: dict[NodeId, _Link] = {}
        self._own: set[Address] = set()  # addresses at which this node answered itself
        self._unreachable: dict[Address, str] = {}  # why nobody answered there last
        self.refusals = Refusals(callers_kept_s=CALLERS_KEPT * timing.redial_max_s)

    def channel(self, node: NodeId) -> grpc.aio.Channel | None:
        """An open channel to the node; None while there is none. It stays this module's to close."""
        link = self._links.get(node)
        return link.channel if link else None

    def address(self, node: NodeId) -> Address | None:
        """Where that channel leads, which is where the node proved who it is; None while there is none."""
        link = self._links.get(node)
        return link.address if link else None

    def want(self, targets: Iterable[Target]) -> None:
        """Dials exactly these from now on. A connection that stands is not ended by it."""
        wanted = frozenset(targets)
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def hang_up(self) -> None:
        """Ends every connection and dials anew: this node shows itself in another way from now on."""
        self._own.clear()
        self.refusals.forget_all_dialled()
        for task in self._dialling.values():
            task.cancel()
        self._changed.set()

    def hurry(self, addresses: Collection[Address]) -> None:
        """A node that calls from there is back: where a dial waits to be tried again, it waits no longer."""
        for target, is_there in self._resting.items():
            if target.address in addresses:
                is_there.set()

    def review(self) -> None:
        """Ends the connections to nodes that this one has nothing to do with any more."""
        for node, link in self._links.items():
            if link.task is not None and self._refuses(node) is not None:
                link.task.cancel()

    async def run(self) -> None:
        """Keeps the connections until it is cancelled; then closes all."""

        def ended(target: Target) -> None:
            del self._dialling[target]
            self._changed.set()  # it may be wanted again by now

        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for target in sorted(self._wanted, key=lambda one: (one.address, one.expects or "")):
                    if target not in self._dialling and target.address not in self._own:
                        dial = self._dial_for_ever(target)
                        self._dialling[target] = tasks.create_task(dial, name=f"peers.dial {target.address}")
                        self._dialling[target].add_done_callback(lambda _, gone=target: ended(gone))
                await self._changed.wait()

    async def _dial_for_ever(self, target: Target) -> None:
        """Ends once nobody wants the target any more, or when it is this node's own address."""
        wait_s = self._timing.redial_s
        try:
            while target in self._wanted and target.address not in self._own:
                if await self._connect(target):
                    wait_s = self._timing.redial_s
                await self._rest(target, wait_s)
                wait_s = min(wait_s * 2, self._timing.redial_max_s)
        finally:
            self.refusals.forget(target.address)
            self._unreachable.pop(target.address, None)

    async def _rest(self, target: Target, wait_s: float) -> None:
        """As long as the first wait at least: two nodes that cannot stay connected would else hurry each other on."""
        is_there = self._resting[target] = asyncio.Event()
        try:
            await asyncio.sleep(self._timing.redial_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s - self._timing.redial_s):
                    await is_there.wait()
        finally:
            del self._resting[target]

    async def _connect(self, target: Target) -> bool:
        """Dials and stays for as long as it lasts. Whether a node of this cluster answered."""
        refusal = self._refuses(target.expects) if target.expects else None
        if refusal is not None:
            self._note(target.address, refusal)
            return False
        try:
            channel = self._open_channel(target.address, target.expects)
        except NotAllowed as error:
            self._note(target.address, str(error))
            return False
        try:
            welcome = await self._hello(channel, target.address)
            if welcome is None:
                return False
            if self.is_exact and target.expects is None and welcome.node not in self._links:
                await channel.close()  # from here on it must be this node and no other
                channel = self._open_channel(target.address, welcome.node)
            standing = self._links.get(welcome.node)
            if standing is None:
                await self._stay(welcome, target.address, channel)
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
        self._unreachable.pop(address, None)
        welcome = welcome_from_wire(reply)
        if welcome.node == ours.node:
            self._own.add(address)
            return None
        refusal = self._refuses(welcome.node) or _mismatch(ours, welcome)
        if refusal is not None:
            self._note(address, refusal)
            return None
        self.refusals.forget(address)
        self._conversation.met(welcome.node, (address, *(other for other in welcome.addresses if other != address)))
        return welcome

    def _refused(self, address: Address, failure: grpc.aio.AioRpcError) -> None:
        sentence = str(error_of_call(failure))
        explained = None
        if failure.code() is grpc.StatusCode.UNAVAILABLE:
            explained = explain_handshake(failure.details() or "")
        if explained or failure.code() in REFUSING:
            self._unreachable.pop(address, None)
            self._note(address, explained or sentence)
        else:
            if self._unreachable.get(address) != sentence:
                log.info("peer.unreachable", address=str(address), reason=sentence)
            self._unreachable[address] = sentence

    def _note(self, address: Address, sentence: str) -> None:
        if not any(link.address == address for link in self._links.values()):  # else another node is there by now
            self.refusals.note(address, sentence)

    async def _stay(self, welcome: Welcome, address: Address, channel: grpc.aio.Channel) -> None:
        link = _Link(address=address, channel=channel, task=asyncio.current_task())
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
                news = self._conversation.is_news
                async for beat in received(aiter(call), timeout_s=self._timing.dead_s, is_news=news):
                    if beat.node == node:
                        self._conversation.heard(beat)
        finally:
            call.cancel()


def _mismatch(ours: Greeting, theirs: Welcome) -> str | None:
    try:
        check_welcome(ours, theirs)
    except Incompatible as error:
        return str(error)
    return None


async def received(
    wires: AsyncIterator[cluster_pb2.Beat], *, timeout_s: float, is_news: Callable[[NodeId, str, int], bool]
) -> AsyncIterator[Beat]:
    """Another node's beats until its stream ends, or no beat came for so long: then the connection is of no use.

    The first one, and then all that are news: where both nodes dialled, each beat comes twice.
    """
    is_first = True
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                wire = await anext(wires, None)
        except TimeoutError:
            return
        if wire is None:
            return
        if is_first or is_news(NodeId(wire.node_id), wire.boot_id, wire.sequence):
            yield beat_from_wire(wire)
        is_first = False


async def _wire(beats: AsyncIterator[Beat]) -> AsyncIterator[cluster_pb2.Beat]:
    async for beat in beats:
        yield beat_to_wire(beat)
