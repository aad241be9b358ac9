"""A node with everything that decides who may talk to it, and without engine or jobs, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from realign_client.api import Client
from realign_client.api import connect as connect_client
from realign_client.credentials import Credentials
from realign_daemon.clock import SystemClock
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.discovery import own_addresses
from realign_daemon.cluster.facts import NodeFacts
from realign_daemon.cluster.identity import load_identity
from realign_daemon.cluster.state import StateFile
from realign_daemon.cluster.view import ClusterView
from realign_daemon.config import load
from realign_daemon.guard import ANY_PORT, Guard
from realign_daemon.journal.files import Files
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.replicator import Replicator
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.cluster_servicer import ClusterServicer
from realign_daemon.rpc.journal_link import JournalLinks
from realign_daemon.rpc.journal_servicer import JournalServicer
from realign_daemon.rpc.neighbours import Neighbours
from realign_daemon.rpc.server import Server
from realign_daemon.rpc.status_servicer import BenchProgress, LocalStatus, StatusServicer
from realign_daemon.rpc.tls import Dialler, secure_channel
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.testing.loopback_node import QUICK
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.trust.journal_facts import JournalFacts, trust_kinds
from realign_daemon.trust.keys import parse_key
from realign_daemon.trust.store import TrustStore
from realign_daemon.trust.trust import Trust
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_proto.handshake import MEMBER, explain_handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedNode:
    """A node that runs."""

    name: str
    data_dir: Path
    server: Server
    trust: Trust
    view: ClusterView
    audit: AuditTable

    @property
    def address(self) -> Address:
        return self.server.address

    @asynccontextmanager
    async def owner(self) -> AsyncGenerator[Client]:
        """A client of the machine's own user."""
        async with connect_client(str(self.data_dir / "realignd.sock")) as client:
            yield client

    async def denials(self) -> list[str]:
        """What the audit says of refused calls: who, what, why."""
        lines = await self.audit.last(100)
        return [f"{line.deed.actor}: {line.deed.outcome}" for line in lines if line.deed.outcome != "done"]

    async def done(self) -> list[str]:
        """What the audit says of the rest: who did what to whom."""
        lines = await self.audit.last(100)
        deeds = [line.deed for line in lines if line.deed.outcome == "done"]
        return [f"{deed.actor}: {deed.method.rpartition('/')[2]} {deed.object}" for deed in deeds]


@asynccontextmanager
async def guarded_node(folder: Path, name: str, *, peers: tuple[Address, ...] = ()) -> AsyncGenerator[GuardedNode]:
    """A node with its own folder and key, which is in no cluster yet."""
    data_dir, clock = folder / name, SystemClock()
    config = load(flags={"node.name": name, "node.data_dir": data_dir, "network.listen": "127.0.0.1:0"})
    server = Server(data_dir=data_dir, listen=ANY_PORT)
    async with AsyncExitStack() as stack:
        stack.enter_context(server.claim())
        identity = load_identity(data_dir)
        facts = NodeFacts(node_id=identity.node, name=name)
        database = Database(data_dir / "ledger.sqlite")
        await database.open()
        stack.push_async_callback(database.close)
        kinds = trust_kinds(lambda pem: trust.issued(pem))  # noqa: PLW0108 - there is no trust yet
        journal = Journal(database, kinds, clock=clock)
        await journal.open()
        trust: Trust = Trust(
            store=TrustStore(data_dir), facts=JournalFacts(journal, database, clock), clock=clock, node_name=name
        )
        await trust.load()
        dialler = Dialler(trust, clock)
        view = ClusterView(
            identity=identity,
            tag=f"alone {name}",
            store=StateFile(data_dir),
            clock=clock,
            own_addresses=lambda: own_addresses(server.address),
            self_facts=lambda: facts,
            static_peers=peers,
            open_channel=dialler.open,
            refuses=dialler.refuses,
            timing=QUICK,
        )

        neighbours = Neighbours(view)
        blobs = BlobStore(data_dir / "blobs")
        links = WorkLinks(node_id=identity.node, channel=neighbours.node_channel, blobs=blobs)
        replicator = Replicator(
            journal,
            files=Files(hold_blob=blobs.hold, room_bytes=lambda: 10**9, clock=clock),
            peers=neighbours.other_nodes,
            connect=JournalLinks(channel=neighbours.node_channel, links=links).connect,
            has_room=lambda: True,
            clock=clock,
        )

        async def measure(_model: str, _force: bool) -> NodeFacts:
            return facts

        async def bench(_model: str, _force: bool) -> AsyncGenerator[BenchProgress]:
            yield BenchProgress(text="nothing to measure", facts=facts)

        async def rehome(_node: object) -> None:
            pass

        audit = AuditTable(database, clock)
        guard = Guard(
            config,
            server=server,
            trust=trust,
            audit=audit,
            view=view,
            neighbours=neighbours,
            owner_of=lambda _: None,
            rehome=rehome,
            clock=clock,
        )
        services = (
            ClusterServicer(view, measure, timing=QUICK).add_to,
            StatusServicer(view, lambda: LocalStatus(data_dir=data_dir, uptime_s=0.0), bench).add_to,
            JournalServicer(journal).add_to,
            *guard.services,
        )
        async with server.serve(*services, opening=guard.opening, owner=guard.owner):
            tasks = [asyncio.create_task(part.run()) for part in (guard, view, replicator)]
            try:
                yield GuardedNode(name=name, data_dir=data_dir, server=server, trust=trust, view=view, audit=audit)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - a condition of a running cluster, not of one object
            await asyncio.sleep(0.02)


def sees(node: GuardedNode, *others: GuardedNode) -> bool:
    """Whether the node takes all of these, and nobody else, for alive."""
    alive = {member.facts.name for member in node.view.members() if member.state == "alive"}
    return alive == {node.name, *(other.name for other in others)}


def reaches(node: GuardedNode, other: GuardedNode) -> bool:
    """Whether the node has a connection of its own to this one: it sees those that have dialled it before that."""
    return node.view.channel(other.trust.node_id) is not None


async def found(node: GuardedNode, name: str = "home") -> None:
    """Has the node found a cluster, and waits until it listens with certificates."""
    before = node.address
    async with node.owner() as client:
        await client.trust.found(name)
    await until(lambda: node.address != before)


async def pair(node: GuardedNode, other: GuardedNode) -> None:
    """Takes the other one into the node's cluster, and waits until both see each other and have dialled each other."""
    async with node.owner() as client:
        invitation = await client.trust.invite("node", ttl_s=60)
    async with other.owner() as client:
        await client.trust.enrol(invitation.token, invitation.addresses[0])
    await until(lambda: sees(node, other) and sees(other, node) and reaches(node, other) and reaches(other, node))


def plain_channel(node: GuardedNode) -> grpc.aio.Channel:
    """To the node's TCP port, without any certificate."""
    return open_channel(node.address)


def member_channel(node: GuardedNode, credentials: Credentials) -> grpc.aio.Channel:
    """To the node's TCP port, as this client."""
    key = parse_key(credentials.key_pem, origin="the client")
    pem = credentials.certificate_pem
    return secure_channel(node.address, roots=credentials.authorities_pem, name=MEMBER, key=key, certificate_pem=pem)


async def refusal(call: Awaitable[object]) -> str:
    """The sentence with which a call fails, a handshake's explained."""
    try:
        await call
    except grpc.aio.AioRpcError as failure:
        details = failure.details() or ""
        return explain_handshake(details) or details
    raise AssertionError("the call went through")
