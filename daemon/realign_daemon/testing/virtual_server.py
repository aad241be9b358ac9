"""VirtualServer: a daemon's server on the simulated network: the real services behind the real interceptors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import grpc
import grpc.aio

from realign_daemon.cluster.addresses import Address
from realign_daemon.config import Config
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.handlers import Behaviour, Handler, replies, rewrapped
from realign_daemon.rpc.interceptor import FaultInterceptor
from realign_daemon.rpc.listener import AddToServer
from realign_daemon.rpc.server import Opening, Server
from realign_daemon.testing.memory_network import Host
from realign_daemon.testing.memory_server import MemoryServer

STOP_GRACE_S = 2.0

Overhear = Callable[[Any], None]  # what a daemon answers


class VirtualServer(Server):
    """See Server. There is no unix socket: whoever dials without certificates has the owner's rights."""

    def __init__(self, host: Host, overheard: Mapping[str, Overhear], config: Config) -> None:
        """`overheard` is told every reply of these methods, by their paths, as it leaves."""
        self._listen = config.network.listen or Address(host=host.ip, port=0)
        super().__init__(data_dir=config.node.data_dir, listen=self._listen)
        self._host = host
        self._overheard = overheard
        self._calls = config.limits.concurrent_calls
        self._own: Address | None = None

    @contextmanager
    def claim(self) -> Generator[None]:
        """See Server. On a simulated host at most one process runs, so nothing needs to be locked."""
        yield

    @property
    def address(self) -> Address:
        """See Server."""
        assert self._own is not None, "only while it serves"
        return self._own

    @asynccontextmanager
    async def serve(
        self,
        *services: AddToServer,
        opening: Callable[[], Opening] | None = None,
        owner: grpc.aio.ServerInterceptor | None = None,  # noqa: ARG002 - of the unix socket
    ) -> AsyncGenerator[None]:
        """See Server."""
        guard = opening().authorisation if opening else None
        server = MemoryServer(
            self._host,
            interceptors=[*([guard] if guard else []), FaultInterceptor(), _Overhearing(self._overheard)],
            concurrent_calls=self._calls,
        )
        for add_to in services:
            add_to(cast("grpc.aio.Server", server))
        self._own = Address(host=self._host.ip, port=server.add_insecure_port(str(self._listen)))
        await server.start()
        try:
            yield
        finally:
            await server.stop(STOP_GRACE_S)


class _Overhearing(grpc.aio.ServerInterceptor):
    def __init__(self, overheard: Mapping[str, Overhear]) -> None:
        self._overheard = overheard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(handler_call_details)
        overhear = self._overheard.get(str(handler_call_details.method))
        if handler is None or overhear is None:
            return handler

        def one(behaviour: Behaviour) -> Callable[[Any, Context], Awaitable[Any]]:
            async def call(request: Any, context: Context) -> Any:  # noqa: ANN401 - any message
                reply = await behaviour(request, context)
                overhear(reply)
                return reply

            return call

        def many(behaviour: Behaviour) -> Callable[[Any, Context], AsyncIterator[Any]]:
            async def call(request: Any, context: Context) -> AsyncIterator[Any]:  # noqa: ANN401 - any message
                async for reply in replies(behaviour, request, context):
                    overhear(reply)
                    yield reply

            return call

        return rewrapped(handler, one=one, many=many)
