"""The daemon's endpoints: where they are, who may use them, and how they fail."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from realign_daemon.cluster.addresses import Address
from realign_daemon.errors import Ambiguous, BadConfig, DirectoryInUse, Full, RealignError
from realign_daemon.rpc.authorisation import Authorisation
from realign_daemon.rpc.channels import open_channel
from realign_daemon.rpc.doors import OpenDoor
from realign_daemon.rpc.faults import INTERNAL_MESSAGE, error_of_call
from realign_daemon.rpc.handlers import rewrapped
from realign_daemon.rpc.server import Opening, Server
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.audit import Deed
from realign_daemon.trust.audit_table import AuditTable
from realign_daemon.work.database import Database
from realign_proto.v1 import facts_pb2, host_pb2, status_pb2
from realign_proto.v1.host_pb2_grpc import HostServicer, HostStub, add_HostServicer_to_server
from realign_proto.v1.status_pb2_grpc import StatusServicer, StatusStub, add_StatusServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from realign_daemon.rpc.context import Context
    from realign_daemon.rpc.handlers import Handler
    from realign_proto.v1.status_pb2_grpc import StatusAsyncStub

ANY_PORT = Address(host="127.0.0.1", port=0)


class Failing(StatusServicer):
    """Raises what it is given."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    async def GetStatus(self, request: status_pb2.StatusRequest, context: object) -> status_pb2.NodeStatus:
        if self.error:
            raise self.error
        return status_pb2.NodeStatus()

    async def Bench(self, request: status_pb2.BenchRequest, context: object) -> AsyncIterator[status_pb2.BenchEvent]:
        yield status_pb2.BenchEvent(text="one")
        if self.error:
            raise self.error


@asynccontextmanager
async def served(
    tmp_path: Path, error: BaseException | None = None, interceptor: grpc.aio.ServerInterceptor | None = None
) -> AsyncGenerator[grpc.aio.Channel]:
    server = Server(data_dir=tmp_path / "data", listen=ANY_PORT, node_name="studio")
    opening = Opening(listen=ANY_PORT, authorisation=interceptor)

    def add(to: grpc.aio.Server) -> None:
        add_StatusServicer_to_server(Failing(error), to)
        add_HostServicer_to_server(Willing(), to)

    async with (
        server.serve(add, opening=lambda: opening),
        open_channel(server.address) as channel,
    ):
        yield channel


async def send_bytes(channel: grpc.aio.Channel, request: bytes) -> object:
    method = cast("Any", channel).unary_unary("/realign.v1.Status/GetStatus")
    return await method(request, timeout=5)


async def health_of(channel: grpc.aio.Channel, service: str) -> object:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return reply.status


async def drained(stub: StatusAsyncStub) -> None:
    async for _ in stub.Bench(status_pb2.BenchRequest()):
        pass


async def failure_of(tmp_path: Path, error: BaseException, *, stream: bool = False) -> grpc.aio.AioRpcError:
    async with served(tmp_path, error) as channel:
        stub = StatusStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await (drained(stub) if stream else stub.GetStatus(status_pb2.StatusRequest()))
    return failed.value


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_the_tree_arrives_as_the_same_error_with_its_sentence(tmp_path: Path, stream: bool) -> None:
    failed = await failure_of(tmp_path, Ambiguous("dpo or sft? say --type"), stream=stream)

    error = error_of_call(failed)

    assert (type(error), str(error), error.exit_code) == (Ambiguous, "dpo or sft? say --type", 5)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unexpected_exception_tells_the_caller_nothing_of_itself(tmp_path: Path, stream: bool) -> None:
    failed = await failure_of(tmp_path, KeyError("a secret"), stream=stream)

    assert (failed.code(), failed.details()) == (grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE)


class Breaking(grpc.aio.ServerInterceptor):
    """Raises before or behind the servicer, or where it is asked for one."""

    def __init__(self, where: str) -> None:
        self.where = where

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Handler]], handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        if self.where == "asked":
            raise KeyError("a secret")
        handler = await continuation(handler_call_details)

        async def one(request: Any, context: Context) -> Any:
            if self.where == "behind":
                await handler.unary_unary(request, context)
            raise KeyError("a secret")

        async def many(request: Any, context: Context) -> AsyncIterator[Any]:
            if self.where == "behind":
                async for reply in handler.unary_stream(request, context):
                    yield reply
            raise KeyError("a secret")

        return rewrapped(handler, one=lambda _: one, many=lambda _: many)


@pytest.mark.parametrize("where", ["asked", "before", "behind"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_exception_of_an_interceptor_tells_the_caller_nothing_of_itself(
    tmp_path: Path, where: str, stream: bool
) -> None:
    async with served(tmp_path, interceptor=Breaking(where)) as channel:
        stub = StatusStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await (drained(stub) if stream else stub.GetStatus(status_pb2.StatusRequest(), timeout=5))

    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE)


async def test_a_full_disk_is_said_with_the_name_of_the_node_that_has_it(tmp_path: Path) -> None:
    failed = await failure_of(tmp_path, OSError(errno.ENOSPC, "No space left on device"))

    error = error_of_call(failed)

    assert (type(error), str(error)) == (Full, "the disk of studio is full; free some space there, then try again")


class Willing(HostServicer):
    """Is paused and resumed at a word."""

    async def PauseNode(self, request: host_pb2.PauseNodeRequest, context: object) -> facts_pb2.NodeFacts:
        return facts_pb2.NodeFacts(name="studio")

    async def ResumeNode(self, request: host_pb2.ResumeNodeRequest, context: object) -> facts_pb2.NodeFacts:
        return facts_pb2.NodeFacts(name="studio")


async def fill(database: Database, audit: AuditTable) -> None:
    """From now on the audit takes no line more: SQLite answers SQLITE_FULL."""
    used = await database.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await database.run(lambda connection: connection.execute(f"PRAGMA max_page_count={used}"))
    with suppress(sqlite3.OperationalError):
        while True:  # until the pages that are there have no room left either
            await audit.record(Deed(actor="ann", role="admin", method="x"))


async def test_a_call_that_was_carried_out_succeeds_though_the_disk_takes_no_audit(tmp_path: Path) -> None:
    database, clock = Database(tmp_path / "ledger.sqlite"), ManualClock()
    await database.open()
    audit = AuditTable(database, clock)
    await fill(database, audit)
    lines = await audit.last(1000)
    async with served(tmp_path, interceptor=Authorisation(OpenDoor(), clock=clock, audit=audit)) as channel:
        with capture_logs() as log:
            reply = await HostStub(channel).PauseNode(host_pb2.PauseNodeRequest(), timeout=5)
    assert reply.name == "studio"
    assert await audit.last(1000) == lines
    (entry,) = (entry for entry in log if entry["event"] == "audit.not_written")
    assert (entry["log_level"], entry["method"]) == ("error", "/realign.v1.Host/PauseNode")
    await database.close()


async def test_health_knows_every_service_of_a_node(tmp_path: Path) -> None:
    async with served(tmp_path) as channel:
        for name in ("Status", "Curation", "Models", "Housekeeping", "Trust"):
            assert await health_of(channel, f"realign.v1.{name}") == health_pb2.HealthCheckResponse.SERVING


async def test_bytes_that_are_no_message_are_bad_input_and_name_no_class(tmp_path: Path) -> None:
    async with served(tmp_path) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await send_bytes(channel, b"\xff\xff\xff")

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Decode" not in (failed.value.details() or "")


async def test_the_endpoint_file_names_the_real_port_and_goes_with_the_server(tmp_path: Path) -> None:
    server = Server(data_dir=tmp_path / "data", listen=ANY_PORT)
    async with server.serve():
        text = (tmp_path / "data" / "endpoint").read_text()
        assert text == f"127.0.0.1:{server.address.port}\n"
        assert server.address.port != 0
    assert not (tmp_path / "data" / "endpoint").exists()


async def test_the_socket_answers_and_is_for_its_owner_only(tmp_path: Path) -> None:
    socket = tmp_path / "data" / "realignd.sock"
    async with Server(data_dir=tmp_path / "data", listen=ANY_PORT).serve():
        assert socket.stat().st_mode & 0o777 == 0o600
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        async with open_channel(f"unix:{socket}") as channel:
            assert await health_of(channel, "realign.v1.Status") == health_pb2.HealthCheckResponse.SERVING
    assert not socket.exists()


async def test_a_path_too_long_for_a_socket_gets_a_short_one_that_the_folder_names(tmp_path: Path) -> None:
    data_dir = tmp_path / ("long" * 30)
    async with Server(data_dir=data_dir, listen=ANY_PORT).serve():
        path = (data_dir / "socket").read_text().strip()
        assert len(path) <= 100
        async with open_channel(f"unix:{path}") as channel:
            assert await health_of(channel, "") == health_pb2.HealthCheckResponse.SERVING
    assert not (data_dir / "socket").exists()


async def test_a_second_daemon_on_the_same_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with Server(data_dir=tmp_path / "data", listen=ANY_PORT).serve():
        with pytest.raises(DirectoryInUse, match=r"another realignd runs on .*data; stop it"):
            async with Server(data_dir=tmp_path / "data", listen=ANY_PORT).serve():
                pass
    async with Server(data_dir=tmp_path / "data", listen=ANY_PORT).serve():
        pass  # the folder is free again


async def test_a_folder_can_be_claimed_before_the_server_serves(tmp_path: Path) -> None:
    server = Server(data_dir=tmp_path / "data", listen=ANY_PORT)
    with server.claim():
        with pytest.raises(DirectoryInUse), Server(data_dir=tmp_path / "data", listen=ANY_PORT).claim():
            pass
        async with server.serve():
            assert server.address.port


async def test_a_port_that_another_daemon_listens_on_is_refused_and_not_shared(tmp_path: Path) -> None:
    first = Server(data_dir=tmp_path / "first", listen=ANY_PORT)
    async with first.serve():
        with pytest.raises(BadConfig, match=rf"cannot listen on .*:{first.address.port};"):
            async with Server(data_dir=tmp_path / "second", listen=first.address).serve():
                pass


async def test_a_kept_port_is_the_same_after_a_restart_and_another_one_when_it_is_taken(tmp_path: Path) -> None:
    def keeping() -> Opening:
        return Opening(listen=ANY_PORT, keeps_port=True)

    first = Server(data_dir=tmp_path / "first", listen=ANY_PORT)
    async with first.serve(opening=keeping):
        port = first.address.port
    async with first.serve(opening=keeping):
        assert first.address.port == port
    async with (
        Server(data_dir=tmp_path / "second", listen=Address(host="127.0.0.1", port=port)).serve(),
        first.serve(opening=keeping),
    ):
        other = first.address.port
        assert other != port
    async with first.serve(opening=keeping):
        assert first.address.port == other


async def test_reopening_moves_the_port_and_leaves_the_calls_over_the_socket_alone(tmp_path: Path) -> None:
    server = Server(data_dir=tmp_path / "data", listen=ANY_PORT)
    async with server.serve(), open_channel(f"unix:{tmp_path / 'data' / 'realignd.sock'}") as local:
        stub: Any = health_pb2_grpc.HealthStub(local)
        watching = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        await server.reopen()

        assert (tmp_path / "data" / "endpoint").read_text() == f"{server.address}\n"
        async with open_channel(server.address) as channel:
            assert await health_of(channel, "") == health_pb2.HealthCheckResponse.SERVING
        assert not watching.done()


async def test_a_message_above_the_limit_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await send_bytes(channel, b"\0" * (5 * 1024 * 1024))

    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_call_to_a_node_that_is_gone_is_unreachable_with_exit_code_4(tmp_path: Path) -> None:
    server = Server(data_dir=tmp_path / "data", listen=ANY_PORT)
    async with server.serve():
        gone = server.address
    async with open_channel(gone) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await StatusStub(channel).GetStatus(status_pb2.StatusRequest(), timeout=5)

    assert isinstance(error_of_call(failed.value), RealignError)
    assert error_of_call(failed.value).exit_code == 4
