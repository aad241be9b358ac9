"""Server: the daemon's gRPC endpoints, one on a unix socket for this machine's user and one on a TCP address."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from realign_daemon.cluster.addresses import Address
from realign_daemon.durable_file import private_folder, replace_file
from realign_daemon.errors import BadConfig, DirectoryInUse
from realign_daemon.rpc.channels import MAX_MESSAGE_BYTES
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_proto.v1 import cluster_pb2, curation_pb2, status_pb2, work_pb2

log = structlog.get_logger()

AddToServer = Callable[[grpc.aio.Server], None]

SERVICES = tuple(
    service.full_name
    for file in (cluster_pb2, curation_pb2, status_pb2, work_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)

# Two daemons could share a port without knowing unless so_reuseport is 0. Strikes are off because peers ping every 2 s
# and would be sent away with "too many pings". The rest bounds what a stranger's connection can cost.
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 8 * 1024),
    ("grpc.max_concurrent_streams", 64),
    ("grpc.server_handshake_timeout_ms", 3_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
STOP_GRACE_S = 2.0
SOCKET_PATH_BYTES = 100  # macOS allows 104 for the path of a unix socket


class Server:
    """Serves while inside `async with server.serve(...)`."""

    def __init__(self, *, data_dir: Path, listen: Address, concurrent_calls: int = 256) -> None:
        """`listen` with port 0 takes any free port. The folder is made if need be."""
        self._data_dir = data_dir
        self._listen = listen
        self._concurrent_calls = concurrent_calls
        self._port: int | None = None
        self._claimed = False

    @contextmanager
    def claim(self) -> Generator[None]:
        """Holds the data directory for this process, made if need be. Enter it before anything in there is opened.

        Raises:
            DirectoryInUse: another daemon runs on it.
        """
        if self._claimed:
            yield
            return
        private_folder(self._data_dir)
        with _locked(self._data_dir):
            self._claimed = True
            try:
                yield
            finally:
                self._claimed = False

    @property
    def address(self) -> Address:
        """Where it listens, the real port included. Only while it serves."""
        if self._port is None:
            message = "the server has no address before it serves"
            raise RuntimeError(message)
        return Address(host=self._listen.host, port=self._port)

    @asynccontextmanager
    async def serve(self, *services: AddToServer) -> AsyncGenerator[None]:
        """Serves these services, health and reflection until the block ends; then lets calls finish for 2 s.

        DATA_DIR/endpoint holds "HOST:PORT" for as long as it serves. Where the socket's path is too long for the
        system, DATA_DIR/socket holds the path of another.

        Raises:
            DirectoryInUse: another daemon runs on this data directory.
            BadConfig: the address cannot be listened on.
        """
        with self.claim(), _socket_path(self._data_dir) as socket_path:
            server = grpc.aio.server(
                interceptors=[FaultInterceptor()],
                options=OPTIONS,
                maximum_concurrent_rpcs=self._concurrent_calls,
            )
            for add_to in services:
                add_to(server)
            healthy = cast("Any", health).aio.HealthServicer()  # the stubs lack the asynchronous one
            health_pb2_grpc.add_HealthServicer_to_server(healthy, server)  # pyright: ignore[reportUnknownMemberType]
            reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
            self._port = self._bind(server, socket_path)
            await server.start()
            socket_path.chmod(0o600)
            endpoint = self._data_dir / "endpoint"
            try:
                replace_file(endpoint, f"{_dialled(self.address)}\n".encode())
                for name in ("", *SERVICES):
                    await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
                log.info("server.listening", address=str(self.address), socket=str(socket_path))
                yield
            finally:
                endpoint.unlink(missing_ok=True)
                await healthy.enter_graceful_shutdown()
                await server.stop(STOP_GRACE_S)
                self._port = None

    def _bind(self, server: grpc.aio.Server, socket_path: Path) -> int:
        try:
            port = server.add_insecure_port(str(self._listen))
        except RuntimeError as error:
            message = f"cannot listen on {self._listen}; free that port, or choose another with --listen"
            raise BadConfig(message) from error
        server.add_insecure_port(f"unix:{socket_path}")
        return port


def _dialled(address: Address) -> Address:
    """Where a program on this machine dials a server that listens there."""
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, not bound
    return Address(host=wildcards.get(address.host, address.host), port=address.port)


@contextmanager
def _locked(data_dir: Path) -> Generator[None]:
    """Holds the folder for this process; the system lets go of it however the process ends."""
    handle = os.open(data_dir / "realignd.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another realignd runs on {data_dir}; stop it, or give this one another --data-dir"
            raise DirectoryInUse(message) from error
        yield
    finally:
        os.close(handle)


@contextmanager
def _socket_path(data_dir: Path) -> Generator[Path]:
    """A free path for the socket in a folder that only its owner can enter; removes what a crash left behind."""
    pointer = data_dir / "socket"
    path = data_dir / "realignd.sock"
    if pointer.exists():
        left = Path(pointer.read_text("utf-8").strip())
        if left.name == path.name and left.parent.name.startswith("realign-"):
            shutil.rmtree(left.parent, ignore_errors=True)
        pointer.unlink()
    path.unlink(missing_ok=True)
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="realign-", ignore_cleanup_errors=True) as folder:
        short = Path(folder) / path.name
        replace_file(pointer, f"{short}\n".encode())
        try:
            yield short
        finally:
            pointer.unlink(missing_ok=True)
