"""Fuzzed node: a whole daemon in this process, with callers of every kind, and the ports that strangers reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc.aio
from tests.unit.curation.jobs_world import Script

from realign_client.api import Client, connect
from realign_client.sources import collect
from realign_daemon.clock import SystemClock
from realign_daemon.cluster.addresses import Address
from realign_daemon.config import BenchmarkConfig, Config, LimitsConfig, NetworkConfig, NodeConfig
from realign_daemon.engine.errors import EngineDied
from realign_daemon.engine.ranks import Rank, RankEvent
from realign_daemon.host.wakelock import Wakelock
from realign_daemon.journal.journal import Journal
from realign_daemon.node import Node
from realign_daemon.platform import Platform
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.join_ports import JoinPorts
from realign_daemon.rpc.join_servicer import JoinServicer
from realign_daemon.rpc.tls import secure_channel
from realign_daemon.testing.inline_worker import InlineWorker
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.testing.virtual_daemon import SENSES, NoBallast, OneModel
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.trust.journal_facts import JournalFacts, trust_kinds
from realign_daemon.trust.keys import PrivateKey, certificate_request, mint_key, spki_hash
from realign_daemon.trust.principal import OWNER
from realign_daemon.trust.registrar import Registrar
from realign_daemon.trust.store import TrustStore
from realign_daemon.trust.trust import Trust
from realign_daemon.work.database import Database
from realign_daemon.worker.registry import FUNCTIONS
from realign_proto.handshake import JOIN, MEMBER
from realign_proto.token import Token
from realign_proto.v1 import curation_pb2, trust_pb2
from realign_proto.v1.trust_pb2_grpc import JoinPortStub, JoinStub

LIMITS = LimitsConfig(source_bytes=2**20, client_upload_bytes=8 * 2**20, calls_per_s=0.0, queued_jobs=3)
ROLES = ("node", "admin", "submit", "read")
NOBODY = "nobody"  # holds a certificate of the cluster, and was revoked
WITHOUT_HUB = {name: where for name, where in FUNCTIONS.items() if not name.startswith("models.")}
INVITED_S = 7 * 86_400.0
INVITATIONS = 4
REQUEST = certificate_request(mint_key())


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzedNode:
    """What a fuzzer needs."""

    channels: Mapping[str, grpc.aio.Channel]  # by who calls; those of strangers by the service that they call
    words: tuple[str, ...]  # that mean something to it
    on_behalf: tuple[str, ...]  # for whom a node may say that it speaks, and may not
    running: asyncio.Task[None]


class _Hurried(SystemClock):
    """A clock on which no two failures lie within a minute: what follows the limit on them is what is fuzzed."""

    def __init__(self) -> None:
        self._passed_s = 0.0

    def continuous(self) -> float:
        self._passed_s += 10.0
        return super().continuous() + self._passed_s

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0.0 if seconds < 1.0 else seconds)


@asynccontextmanager
async def fuzzed_node(folder: Path) -> AsyncGenerator[FuzzedNode]:
    """A daemon that has done a job, has founded a cluster, and has begun the change to another authority."""
    data_dir = folder / "studio"
    async with AsyncExitStack() as stack:
        running = await _running(stack, folder, data_dir)
        owner = await stack.enter_async_context(connect(str(data_dir / "realignd.sock")))
        job, content = await _job(owner, folder / "books" / "a.txt")
        address = await _founded(owner, data_dir)
        members = {role: await _member(owner, role, name=f"fuzz-{role}") for role in ROLES}
        members[NOBODY] = await _member(owner, "read", name=NOBODY)
        await owner.trust.revoke(NOBODY)
        await owner.trust.rotate_authority()  # whatever certificate the daemon shows from now on is known to all
        roots = (data_dir / "trust" / "authorities.pem").read_bytes()
        joining, secrets = await _joining(stack, folder / "holder")
        channels: dict[str, grpc.aio.Channel] = {
            **joining,
            "owner": grpc.aio.insecure_channel(f"unix:{data_dir / 'realignd.sock'}"),
            **{name: _members_channel(address, roots, member) for name, member in members.items()},
        }
        for channel in channels.values():
            stack.push_async_callback(channel.close)
        keys = [spki_hash(key.public_key()) for key, _ in members.values()]
        yield FuzzedNode(
            channels=channels,
            words=(job, job[:5], content, f"{job}/0", *secrets),
            on_behalf=("", "x", *(f"{key}:{role}" for key in ("", *keys) for role in ("owner", "admin", "submit"))),
            running=running,
        )


async def _running(stack: AsyncExitStack, folder: Path, data_dir: Path) -> asyncio.Task[None]:
    (folder / "books").mkdir()
    (folder / "books" / "a.txt").write_text("Sums are easy.")
    config = Config(
        node=NodeConfig(name="studio", data_dir=data_dir),
        network=NetworkConfig(listen=Address(host="127.0.0.1", port=0), discovery=False),
        benchmark=BenchmarkConfig(on_start=False),
        limits=LIMITS,
        shares={"books": folder / "books"},
    )
    platform = Platform(
        senses=SENSES,
        environment={},
        ballast=NoBallast,
        worker=lambda: InlineWorker(WITHOUT_HUB),
        engine=lambda _config, blobs, _free_bytes: ScriptedEngine(blobs),
        start_rank=lambda _config: _no_rank,
        models=lambda _config: OneModel(),
        wakelock=lambda now: Wakelock(now, has=lambda _: False),
        work=Script().work,
    )
    ready = asyncio.Event()
    running = _started(stack, Node(config, platform).run(lambda _: ready.set()), "node")
    await ready.wait()
    return running


def _started(stack: AsyncExitStack, loop: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Runs until the stack is left."""
    task = asyncio.create_task(loop, name=name)
    stack.push_async_callback(asyncio.gather, task, return_exceptions=True)
    stack.callback(task.cancel)
    return task


async def _no_rank(rank: Rank | None, *, model: str, on_event: Callable[[RankEvent], None]) -> NoReturn:
    raise EngineDied(model=model, cause="ranks are not started here")


async def _job(owner: Client, book: Path) -> tuple[str, str]:
    (source,) = collect([str(book)])
    reply = await owner.submit(curation_pb2.JobRequest(text="DPO pairs", data_type="dpo", model="pocket"), [source])
    async for _ in owner.watch(reply.job_id):
        pass
    return reply.job_id, source.sha256


async def _founded(owner: Client, data_dir: Path) -> Address:
    """Where the daemon listens with certificates."""
    endpoint = data_dir / "endpoint"
    before = endpoint.read_text()
    await owner.trust.found("fuzzed")
    while endpoint.read_text() == before:  # noqa: ASYNC110 - a file
        await asyncio.sleep(0.02)
    return Address.parse(endpoint.read_text().strip())


async def _member(owner: Client, role: str, *, name: str) -> tuple[PrivateKey, bytes]:
    """A new member's key and certificate."""
    invitation = await owner.trust.invite(role, ttl_s=60.0)
    token, key = Token.parse(invitation.token), mint_key()
    outside, within = await _join_channels(Address.parse(invitation.addresses[0]))
    async with outside, within:
        request = trust_pb2.EnrolRequest(secret=token.secret_text, csr_pem=certificate_request(key), name=name)
        reply = await JoinStub(within).Enrol(request, timeout=10)
    return key, reply.certificate_pem


async def _join_channels(place: Address) -> tuple[grpc.aio.Channel, grpc.aio.Channel]:
    """To the port that tells whoever asks, and to that which lets those in who have an invitation."""
    outside = open_channel(place)
    described = await JoinPortStub(outside).Describe(trust_pb2.DescribeRequest(), timeout=10)
    within = Address(host=place.host, port=described.tls_port)
    return outside, secure_channel(within, roots=described.authority_pem, name=JOIN)


async def _joining(stack: AsyncExitStack, data_dir: Path) -> tuple[dict[str, grpc.aio.Channel], tuple[str, ...]]:
    """Channels to the ports of a node that expects many, by service, and the secrets of their invitations."""
    database, clock = Database(data_dir / "ledger.sqlite"), _Hurried()
    store = TrustStore(data_dir)
    store.load()  # makes the folder
    await database.open()
    stack.push_async_callback(database.close)
    journal = Journal(database, trust_kinds(lambda pem: trust.issued(pem)), clock=clock)  # noqa: PLW0108 - there is no trust yet
    await journal.open()
    facts = JournalFacts(journal, database, clock)
    trust: Trust = Trust(store=store, facts=facts, clock=clock, node_name="holder")
    await trust.found("joined")
    registrar = Registrar(trust, clock)
    audit = AuditTable(database, clock)
    servicer = JoinServicer(trust, registrar, audit=audit, addresses=tuple, clock=clock)
    ports = JoinPorts(
        trust, servicer, host=lambda: "127.0.0.1", changed=lambda: None, clock=SystemClock(), node_name="fuzzed"
    )
    invited = [registrar.invite(role="node", name="", ttl_s=INVITED_S, by=OWNER) for _ in range(INVITATIONS)]
    place, *_ = await ports.open()
    _started(stack, ports.run(), "join ports")
    outside, within = await _join_channels(place)
    _, *known = (token.secret_text for token in invited)  # one is left when these are used up: the ports stay open
    return {"JoinPort": outside, "Join": within}, tuple(known)


def _members_channel(address: Address, roots: bytes, member: tuple[PrivateKey, bytes]) -> grpc.aio.Channel:
    key, pem = member
    return secure_channel(address, roots=roots, name=MEMBER, key=key, certificate_pem=pem)
