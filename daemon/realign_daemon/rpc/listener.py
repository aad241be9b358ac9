"""Listener: one gRPC server on one address, with the limits that bound what a stranger's connection can cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc.aio

from realign_daemon.cancellation import heeded
from realign_daemon.cluster.addresses import Address
from realign_daemon.errors import BadConfig
from realign_daemon.rpc.channels import MAX_MESSAGE_BYTES
from realign_daemon.rpc.interceptor import FaultBarrier, FaultInterceptor

AddToServer = Callable[[grpc.aio.Server], None]

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


class Listener:
    """Listens from `open` to `close`."""

    def __init__(
        self,
        services: Sequence[AddToServer],
        *,
        concurrent_calls: int,
        authorisation: grpc.aio.ServerInterceptor | None = None,
        node_name: str = "this node",
    ) -> None:
        """Without an authorisation everybody may call these services, and only these."""
        guards = [authorisation] if authorisation is not None else []
        self._server = grpc.aio.server(
            interceptors=[FaultBarrier(node_name), *guards, FaultInterceptor(node_name)],
            options=OPTIONS,
            maximum_concurrent_rpcs=concurrent_calls,
        )
        for add_to in services:
            add_to(self._server)

    async def open(self, address: Address | str, credentials: grpc.ServerCredentials | None = None) -> int:
        """The port that it listens on, for a socket ("unix:PATH") some number.

        Raises:
            BadConfig: the address cannot be listened on.
        """
        try:
            if credentials is None:
                port = self._server.add_insecure_port(str(address))
            else:
                port = self._server.add_secure_port(str(address), credentials)
        except RuntimeError as error:
            message = f"cannot listen on {address}; free that port, or choose another with --listen"
            raise BadConfig(message) from error
        await self._server.start()
        return port

    async def close(self, grace_s: float) -> None:
        """Takes no calls any more, and lets those that run go on for so long."""
        with heeded():
            await self._server.stop(grace_s)
