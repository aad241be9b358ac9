"""Two nodes on loopback that take jobs and files, the first one leading, and a line that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
from tests.unit.curation.jobs_world import Script

from realign_client.api import Client
from realign_client.channels import CHANNEL_OPTIONS
from realign_daemon.config import LimitsConfig
from realign_daemon.files.share import Shares
from realign_daemon.files.staging import Staging
from realign_daemon.rpc.curation_servicer import CurationServicer
from realign_daemon.rpc.files_servicer import FilesServicer
from realign_daemon.rpc.homes import Routes
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.rpc.sources import Holders, Sources
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.rpc.work_servicer import WorkServicer
from realign_daemon.testing.job_home import JobHome
from realign_daemon.trust.keys import SpkiHash
from realign_proto.v1 import work_pb2

OWN = SpkiHash("0" * 64)
LIMITS = LimitsConfig(source_bytes=32 * 2**20, client_upload_bytes=64 * 2**20, rows_per_job=50)


class RecordingWork(WorkServicer):
    """Remembers from where on blobs were asked for."""

    offsets: list[int]

    async def FetchBlob(
        self, request: work_pb2.BlobRequest, context: grpc.aio.ServicerContext[work_pb2.BlobRequest, work_pb2.BlobChunk]
    ) -> AsyncIterator[work_pb2.BlobChunk]:
        self.offsets.append(request.offset)
        async for chunk in super().FetchBlob(request, context):
            yield chunk


@dataclass(kw_only=True)
class Node:
    name: str
    home: JobHome
    staging: Staging
    folder: Path
    work: RecordingWork
    channel: grpc.aio.Channel
    port: int

    def client(self, target: str | None = None) -> Client:
        """A client of this node, or of the address that leads to it."""
        target = target or f"127.0.0.1:{self.port}"
        return Client(grpc.aio.insecure_channel(target, options=list(CHANNEL_OPTIONS.items())), target)


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncGenerator[tuple[Node, Node]]:
    """They run until the block ends."""
    made: dict[str, Node] = {}
    async with AsyncExitStack() as stack:
        for name in ("leader", "other"):
            made[name] = await start(stack, folder / name, name, made)
        yield made["leader"], made["other"]


async def start(stack: AsyncExitStack, folder: Path, name: str, made: dict[str, Node]) -> Node:
    home = await stack.enter_async_context(JobHome(folder, work=Script().work))
    (folder / "books").mkdir()
    (folder / "books" / "a.txt").write_text("Sums are easy.")

    def channel_of(node: str) -> grpc.aio.Channel | None:
        return made[node].channel if node in made and node != name else None

    def others() -> tuple[grpc.aio.Channel, ...]:
        return tuple(node.channel for node in made.values() if node.name != name)

    staging = Staging(
        home.blobs, clock=home.clock, client_bytes=LIMITS.client_upload_bytes, source_bytes=LIMITS.source_bytes
    )
    shares = Shares(
        {"books": folder / "books", f"of-{name}": folder / "books"}, home.blobs, source_bytes=LIMITS.source_bytes
    )
    links = WorkLinks(node_id=name, channel=channel_of, blobs=home.blobs)
    holders = Holders(own=frozenset({name}), named=channel_of, others=others, fetch=links.fetch_blob)
    sources = Sources(
        node_id=name,
        blobs=home.blobs,
        staging=staging,
        shares=shares,
        holders=holders,
        source_bytes=LIMITS.source_bytes,
    )
    curation = CurationServicer(
        jobs=home.jobs,
        data_sets=home.data_sets,
        blobs=home.blobs,
        clock=home.clock,
        routes=Routes(leader=lambda: channel_of("leader"), home_of=lambda _job: None, others=others, own=OWN),
        node_name=name,
        limits=LIMITS,
        sources=sources,
    )
    work = RecordingWork(home._executor, home.blobs)  # pyright: ignore[reportPrivateUsage] - nobody else serves it
    work.offsets = []
    server = grpc.aio.server(
        interceptors=[FaultInterceptor()], options=[("grpc.max_receive_message_length", 4 * 2**20)]
    )
    for servicer in (curation, work, FilesServicer(staging=staging, shares=shares, node_id=name)):
        servicer.add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, 0)
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    stack.push_async_callback(channel.close)
    return Node(name=name, home=home, staging=staging, folder=folder, work=work, channel=channel, port=port)


@dataclass(kw_only=True)
class Line:
    """A line to a port that breaks once so many bytes have gone over it, and is whole again for the next connection."""

    to_port: int
    breaks_after: int | None
    carried: int = 0
    breaks: int = 0
    port: int = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection("127.0.0.1", self.to_port)
        back = asyncio.create_task(_pump(near, writer))
        try:
            while data := await reader.read(65536):
                self.carried += len(data)
                if self.breaks_after is not None and self.carried >= self.breaks_after:
                    self.breaks_after = None
                    self.breaks += 1
                    break
                far.write(data)
                await far.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            far.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def line_to(node: Node) -> AsyncGenerator[Line]:
    """A line to the node."""
    line = Line(to_port=node.port, breaks_after=None)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    yield line
    server.close()
