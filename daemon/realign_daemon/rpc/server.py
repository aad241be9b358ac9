"""Server: the daemon's gRPC endpoints, one on a unix socket for this machine's user and one on a TCP address."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from realign_daemon.cluster.addresses import Address
from realign_daemon.durable_file import private_folder, replace_file
from realign_daemon.errors import BadConfig, DirectoryInUse
from realign_daemon.rpc.listener import AddToServer, Listener
from realign_proto.v1 import (
    cluster_pb2,
    curation_pb2,
    decision_pb2,
    files_pb2,
    groups_pb2,
    host_pb2,
    housekeeping_pb2,
    journal_pb2,
    models_pb2,
    status_pb2,
    trust_pb2,
    work_pb2,
)

log = structlog.get_logger()

FILES = (
    cluster_pb2,
    curation_pb2,
    decision_pb2,
    files_pb2,
    groups_pb2,
    host_pb2,
    housekeeping_pb2,
    journal_pb2,
    models_pb2,
    status_pb2,
    trust_pb2,
    work_pb2,
)
SERVICES = tuple(
    service.full_name
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    if service.name not in ("Join", "JoinPort")  # on listeners of their own
)

STOP_GRACE_S = 2.0
SOCKET_PATH_BYTES = 100  # macOS allows 104 for the path of a unix socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How the daemon is reached over TCP at this time."""

    listen: Address  # port 0: any free one
    keeps_port: bool = False  # of a free one: the same after a restart, as other machines remember it
    credentials: grpc.ServerCredentials | None = None
    authorisation: grpc.aio.ServerInterceptor | None = None


class Server:
    """Serves while inside `async with server.serve(...)`."""

    def __init__(
        self, *, data_dir: Path, listen: Address, concurrent_calls: int = 256, node_name: str = "this node"
    ) -> None:
        """`listen` with port 0 takes any free port. The folder is made if need be. Errors call the node by its name."""
        self._data_dir = data_dir
        self._listener_of = partial(Listener, concurrent_calls=concurrent_calls, node_name=node_name)
        self._opening: Callable[[], Opening] = lambda: Opening(listen=listen)
        self._services: Sequence[AddToServer] = ()
        self._listener: Listener | None = None
        self._address: Address | None = None
        self._reopening = asyncio.Lock()
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
        if self._address is None:
            message = "the server has no address before it serves"
            raise RuntimeError(message)
        return self._address

    @asynccontextmanager
    async def serve(
        self,
        *services: AddToServer,
        opening: Callable[[], Opening] | None = None,
        owner: grpc.aio.ServerInterceptor | None = None,
    ) -> AsyncGenerator[None]:
        """Serves these services, health and reflection until the block ends; then lets calls finish for 2 s.

        `opening` is asked now and by `reopen`; `owner` judges the calls that come over the socket. DATA_DIR/endpoint
        holds "HOST:PORT" for as long as it serves. Where the socket's path is too long for the system, DATA_DIR/socket
        holds the path of another.

        Raises:
            DirectoryInUse: another daemon runs on this data directory.
            BadConfig: the address cannot be listened on.
        """
        self._opening = opening or self._opening
        with self.claim(), _socket_path(self._data_dir) as socket_path:
            healthy = cast("Any", health).aio.HealthServicer()  # the stubs lack the asynchronous one
            for name in ("", *SERVICES):
                await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)

            def add_health(server: grpc.aio.Server) -> None:
                health_pb2_grpc.add_HealthServicer_to_server(healthy, server)  # pyright: ignore[reportUnknownMemberType]
                reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

            self._services = (*services, add_health)
            local = self._listener_of(self._services, authorisation=owner)
            endpoint = self._data_dir / "endpoint"
            try:
                await self.reopen()
                await local.open(f"unix:{socket_path}")
                socket_path.chmod(0o600)
                log.info("server.listening", address=str(self.address), socket=str(socket_path))
                yield
            finally:
                endpoint.unlink(missing_ok=True)
                await healthy.enter_graceful_shutdown()
                await asyncio.gather(self._close(), local.close(STOP_GRACE_S))
                self._address = None

    async def reopen(self) -> None:
        """Listens as `opening` says now. Calls over TCP get 2 s to end; those over the socket go on.

        Raises:
            BadConfig: the address cannot be listened on.
        """
        async with self._reopening:
            await self._close()
            opening = self._opening()
            listener = self._listener_of(self._services, authorisation=opening.authorisation)
            port = await self._port(listener, opening)
            self._listener = listener
            self._address = replace(opening.listen, port=port)
            replace_file(self._data_dir / "endpoint", f"{_dialled(self._address)}\n".encode())
            log.info("server.opened", address=str(self._address), certificates=opening.credentials is not None)

    async def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close(STOP_GRACE_S)

    async def _port(self, listener: Listener, opening: Opening) -> int:
        """Listens; the port. One that was kept and is somebody else's by now is given up for another."""
        if not opening.keeps_port or opening.listen.port:
            return await listener.open(opening.listen, opening.credentials)
        kept = self._data_dir / "port"
        with suppress(FileNotFoundError, ValueError):
            wanted = replace(opening.listen, port=int(kept.read_bytes()))
            try:
                return await listener.open(wanted, opening.credentials)
            except BadConfig:
                log.warning("server.port_taken", port=wanted.port, remedy="other nodes find the new one by themselves")
        port = await listener.open(opening.listen, opening.credentials)
        replace_file(kept, b"%d\n" % port)
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
