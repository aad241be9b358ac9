"""Cable: what the ranks of several nodes say to each other goes through it, until it is pulled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from realign_daemon.engine.ranks import Rank

_LISTENS_WITHIN_S = 15.0


class Cable:
    """Pulled, nothing arrives any more and no connection ends: none of the ranks hears that anything has happened."""

    def __init__(self) -> None:
        self._is_in = asyncio.Event()
        self._is_in.set()
        self._servers: list[asyncio.Server] = []
        self._ways: set[asyncio.Task[None]] = set()

    def pull(self) -> None:
        self._is_in.clear()

    async def plugged(self, rank: Rank) -> Rank:
        """The rank, which reaches the others through the cable."""
        hosts = [
            addresses if place == rank.rank else tuple([await self._leading_to(address) for address in addresses])
            for place, addresses in enumerate(rank.plan.hosts)
        ]
        return replace(rank, plan=replace(rank.plan, hosts=tuple(hosts)))

    async def _leading_to(self, address: str) -> str:
        host, _, port = address.partition(":")

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await _opened(host, int(port))
            for way in (self._carry(reader, far_writer), self._carry(far_reader, writer)):
                task = asyncio.create_task(way)
                self._ways.add(task)
                task.add_done_callback(self._ways.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._servers.append(server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2**16):
                await self._is_in.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        ways = list(self._ways)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _opened(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a rank, which may not listen yet: who was let in here would not call again."""
    async with asyncio.timeout(_LISTENS_WITHIN_S):
        while True:
            with suppress(ConnectionRefusedError):
                return await asyncio.open_connection(host, port)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def cable() -> AsyncGenerator[Cable]:
    """One that nothing is left of after the block."""
    one = Cable()
    try:
        yield one
    finally:
        await one.close()
