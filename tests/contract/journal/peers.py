"""Peers: nodes on loopback that have a ledger, blobs and a journal, and nothing else of a daemon."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self, cast

import grpc.aio

from realign_daemon.clock import SystemClock
from realign_daemon.journal.entries import Ref
from realign_daemon.journal.files import Files
from realign_daemon.journal.journal import Journal
from realign_daemon.journal.kind import Kind
from realign_daemon.journal.kinds import KINDS
from realign_daemon.journal.replicator import Replicator
from realign_daemon.rpc.channels import OPTIONS
from realign_daemon.rpc.journal_link import JournalLinks
from realign_daemon.rpc.journal_servicer import JournalServicer
from realign_daemon.rpc.kept_channel import kept
from realign_daemon.rpc.listener import OPTIONS as SERVER_OPTIONS
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.rpc.work_servicer import WorkServicer
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger, StoredJob, StoredResult
from realign_daemon.work.units import UnitKey

DEADLINE_S = 60.0
PLENTY_BYTES = 2**40


class Network(dict[str, grpc.aio.Channel]):
    """Channels by node id; who is not in it is not there."""


class Peer:
    """A node, for as long as `async with` lasts. Made anew over the same folder it is the node after a restart."""

    def __init__(
        self,
        name: str,
        folder: Path,
        network: Network,
        *,
        kinds: tuple[Kind, ...] = KINDS,
        witnesses: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.room_bytes = PLENTY_BYTES
        self.network = network
        folder.mkdir(exist_ok=True)
        clock = SystemClock()
        self.database = Database(folder / "ledger.sqlite")
        self.ledger = Ledger(self.database, node_id=name)
        self.blobs = BlobStore(folder / "blobs")
        self.journal = Journal(self.database, kinds, clock=clock, boot=secrets.token_hex(8))
        self.replicator = Replicator(
            self.journal,
            files=Files(hold_blob=self.blobs.hold, room_bytes=lambda: self.room_bytes, clock=clock),
            peers=lambda: [node for node in network if node != name],
            keepers=lambda: [node for node in network if node not in (name, *witnesses)],
            connect=JournalLinks(
                channel=network.get, links=WorkLinks(node_id=name, channel=network.get, blobs=self.blobs)
            ).connect,
            has_room=lambda: self.room_bytes > 0,
            clock=clock,
        )

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        await self.database.open()
        self._stack.push_async_callback(self.database.close)
        await self.journal.open()
        server = grpc.aio.server(options=SERVER_OPTIONS)
        JournalServicer(self.journal).add_to(server)
        WorkServicer(cast("Executor", None), self.blobs).add_to(server)  # only its files are asked for here
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        self._stack.push_async_callback(server.stop, 0)
        channel = kept(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS))
        self._stack.push_async_callback(channel.close)
        self.network[self.name] = channel
        self._stack.callback(self.network.pop, self.name)
        self._running = asyncio.create_task(self.replicator.run())
        self._stack.push_async_callback(asyncio.gather, self._running, return_exceptions=True)
        self._stack.callback(self._running.cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def add(self, *keys: str, value: bytes = b"v", kind: str = "generated") -> None:
        """Results that this node computed."""
        rows = [
            StoredResult(
                key=UnitKey(key), kind=kind, result=value, node=self.name, started_unix_s=1.0, busy_s=0.5, tokens=7
            )
            for key in keys
        ]
        await self.ledger.add_results(rows, now_unix_s=2.0, computed=True)

    async def held(self) -> frozenset[Ref]:
        """Everything in its journal."""
        rows = await self.database.run(lambda c: c.execute("SELECT kind, ref FROM journal").fetchall())
        return frozenset(Ref(kind=kind, ref=ref) for kind, ref in rows)

    async def until(self, holds: Callable[[], object]) -> None:
        """Returns once the condition, which may be awaitable, holds; it is asked at every change here."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                written = self.database.written()
                found = holds()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await written.wait()


async def alike(*nodes: Peer) -> None:
    """Returns once all hold the same things in the same versions."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            written = [asyncio.create_task(node.database.written().wait()) for node in nodes]
            held = [await node.journal.digests() for node in nodes]
            if held.count(held[0]) < len(held):
                await asyncio.wait(written, return_when=asyncio.FIRST_COMPLETED)
            for waiting in written:
                waiting.cancel()
            if held.count(held[0]) == len(held):
                return


@asynccontextmanager
async def peers(folder: Path, *names: str) -> AsyncGenerator[tuple[Peer, ...]]:
    """Nodes that know each other."""
    network = Network()
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(Peer(name, folder / name, network)) for name in names])


def job(name: str, **changes: object) -> StoredJob:
    """A job as it is submitted."""
    values: dict[str, object] = {"client_token": name, "spec": "{}", "record": "{}", "created_unix_s": 1.0}
    return StoredJob(job_id=name, **(values | changes))  # pyright: ignore[reportArgumentType] - fields by name
