"""A channel that a caller keeps over an await, closed meanwhile: its calls fail as those to an unreachable node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from realign_daemon.decision.ballot import Ballot
from realign_daemon.decision.messages import Prepare
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import Unreachable
from realign_daemon.rpc.channels import Channel
from realign_daemon.rpc.decision_link import DecisionLink
from realign_daemon.rpc.holder import Holder
from realign_daemon.rpc.homes import passed_on, relayed
from realign_daemon.rpc.housekeeping_servicer import Homes
from realign_daemon.rpc.kept_channel import CLOSED, kept
from realign_daemon.rpc.work_link import WorkLinks
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.messages import Abandon
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationStub
from realign_proto.v1.work_pb2_grpc import WorkStub

pytestmark = pytest.mark.deadline(20)


class Server:
    """A node that is asked, and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def unary(self, _request: bytes, _: object) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        return b""

    async def stream(self, _request: object, _: object) -> AsyncIterator[bytes]:
        self.asked.set()
        await asyncio.Event().wait()
        yield b""

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        unary: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(self.unary)
        stream: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(self.stream)
        both: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(self.stream)
        services = {
            "Curation": {"ListJobs": unary, "WatchJob": stream},
            "Decision": {"Prepare": unary},
            "Housekeeping": {"ListReferences": stream},
            "Trust": {"Renew": unary},
            "Work": {"FetchBlob": stream, "Attend": both},
        }
        return [grpc.method_handlers_generic_handler(f"realign.v1.{name}", of) for name, of in services.items()]


@pytest.fixture
async def server() -> AsyncGenerator[tuple[Server, Channel]]:
    served, server = Server(), grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(served.handlers()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = kept(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
    yield served, channel
    await channel.close()
    await server.stop(None)


async def watch(channel: Channel, _: Path) -> None:
    async for _event in relayed(CurationStub(channel).WatchJob(pb.JobRef(job_id="j"))):
        pass


async def list_jobs(channel: Channel, _: Path) -> None:
    await passed_on(CurationStub(channel).ListJobs(pb.ListJobsRequest()))


async def renew(channel: Channel, _: Path) -> None:
    await Holder(lambda: [channel]).renew(b"")


async def vote(channel: Channel, _: Path) -> None:
    request = Prepare(job_id="j", instance=0, ballot=Ballot(config_epoch=0, epoch=1, node="n"))
    await DecisionLink(channel=lambda _: channel).ask("n", request)


async def fetch_blob(channel: Channel, folder: Path) -> None:
    links = WorkLinks(node_id="here", channel=lambda _: channel, blobs=BlobStore(folder))
    await links.fetch_blob("there", Sha256("a" * 64))


async def attend(channel: Channel, folder: Path) -> None:
    async with WorkLinks(node_id="here", channel=lambda _: channel, blobs=BlobStore(folder)).connect("there") as link:
        async for _event in link.events():
            pass


Call = Callable[[Channel, Path], Awaitable[None]]
CALLS = pytest.mark.parametrize("call", [watch, list_jobs, renew, vote, fetch_blob, attend])


@CALLS
async def test_a_call_begun_on_a_closed_channel_fails_as_to_an_unreachable_node(
    call: Call, server: tuple[Server, Channel], tmp_path: Path
) -> None:
    _, channel = server
    await channel.close()
    with pytest.raises((Unreachable, ConnectionError), match=f"{CLOSED}|cannot be reached"):
        await call(channel, tmp_path)


@CALLS
async def test_a_call_under_way_on_a_channel_that_is_closed_fails_as_to_an_unreachable_node(
    call: Call, server: tuple[Server, Channel], tmp_path: Path
) -> None:
    served, channel = server
    calling = asyncio.ensure_future(call(channel, tmp_path))
    await served.asked.wait()
    await channel.close()
    with pytest.raises((Unreachable, ConnectionError), match=f"{CLOSED}|cannot be reached"):
        await calling


@CALLS
async def test_who_is_cancelled_itself_hears_of_that_and_of_nothing_else(
    call: Call, server: tuple[Server, Channel], tmp_path: Path
) -> None:
    served, channel = server
    calling = asyncio.ensure_future(call(channel, tmp_path))
    await served.asked.wait()
    calling.cancel()
    await channel.close()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_homes_whose_channel_is_closed_meanwhile_count_as_unreached(server: tuple[Server, Channel]) -> None:
    served, channel = server
    asking = asyncio.ensure_future(Homes(nodes=lambda: ["there"], channel=lambda _: channel).ask(frozenset({"there"})))
    await served.asked.wait()
    await channel.close()
    assert (await asking).unreached == ("node there",)


async def test_a_command_to_a_node_whose_channel_was_closed_meanwhile_is_not_sent(
    server: tuple[Server, Channel], tmp_path: Path
) -> None:
    served, channel = server
    links = WorkLinks(node_id="here", channel=lambda _: channel, blobs=BlobStore(tmp_path))
    async with links.connect("there") as link:
        await served.asked.wait()
        await channel.close()
        with pytest.raises(ConnectionError, match="the node ended the connection"):
            await link.send(Abandon())
    assert not WorkStub(channel).Attend().cancel()


class Ended:
    """A channel whose call has failed by itself by the time that it hears of its caller's cancelling."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def unary_unary(self, *_method: object, **_: object) -> Callable[..., Awaitable[None]]:
        return self._call

    unary_stream = stream_unary = stream_stream = unary_unary  # which a stub asks for, whether it is called or not

    async def close(self, _: float | None) -> None: ...

    async def _call(self, *_request: object, **_: object) -> None:
        try:
            self.asked.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # as grpc.aio's UnaryUnaryCall does it
            none = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, none, none, details="refused") from None


async def test_who_is_cancelled_just_as_its_call_fails_is_cancelled_and_does_not_dial_again() -> None:
    ended = Ended()
    stub = CurationStub(kept(cast("Channel", ended)))

    async def dial() -> None:
        with suppress(grpc.aio.AioRpcError):  # and then, were it not for this test, again
            await stub.ListJobs(pb.ListJobsRequest())

    dialling = asyncio.create_task(dial())
    await ended.asked.wait()
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling


class Freed(Ended):
    """A channel whose memory is gone once it is closed, as grpc.aio's is: a stub that is made then reads it."""

    is_closed = False

    def __getattribute__(self, name: str) -> object:
        assert name == "close" or not object.__getattribute__(self, "is_closed"), f"{name} of a closed channel"
        return object.__getattribute__(self, name)

    async def close(self, _: float | None) -> None:
        self.is_closed = True


async def test_a_stub_that_is_made_for_a_closed_channel_leaves_it_alone() -> None:
    channel = kept(cast("Channel", Freed()))
    await channel.close()
    with pytest.raises(grpc.aio.AioRpcError, match=CLOSED):
        await CurationStub(channel).ListJobs(pb.ListJobsRequest())
