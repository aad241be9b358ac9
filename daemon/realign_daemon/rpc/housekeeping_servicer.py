"""Housekeeping servicer: removes what no job needs on every node, and describes this one for a bug report."""

from __future__ import annotations

import asyncio
import json
import math
import platform
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import grpc.aio

from realign_daemon.config import Config
from realign_daemon.errors import BadInput
from realign_daemon.host.interpreter import describe_interpreter
from realign_daemon.housekeeping import inventory
from realign_daemon.housekeeping.garbage import KEPT_S
from realign_daemon.housekeeping.settings import shown_settings
from realign_daemon.housekeeping.sweep import Sweep, Swept, Used
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.faults import error_of_call
from realign_daemon.rpc.homes import is_forwarded, passing_on
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.work.database import Database
from realign_daemon.work.schema import VERSION
from realign_daemon.work.units import UnitKey
from realign_proto.v1 import housekeeping_pb2 as pb
from realign_proto.v1.housekeeping_pb2_grpc import HousekeepingServicer as HousekeepingService
from realign_proto.v1.housekeeping_pb2_grpc import HousekeepingStub, add_HousekeepingServicer_to_server

if TYPE_CHECKING:
    from realign_proto.v1.housekeeping_pb2_grpc import HousekeepingAsyncStub

KEYS_A_MESSAGE = 20_000  # of 32 bytes: 640 KiB
ASK_TIMEOUT_S = 60.0
SWEEP_TIMEOUT_S = 600.0  # of another node; it asks all homes first
NODE_SHOWN = 8  # characters of an id that tell two nodes apart

NodesNow = Callable[[], Iterable[str]]  # ids of all other living nodes
ChannelTo = Callable[[str], grpc.aio.Channel | None]


class Homes:
    """Asks other homes which units their jobs use."""

    def __init__(self, *, nodes: NodesNow, channel: ChannelTo) -> None:
        self._nodes = nodes
        self._channel = channel

    async def ask(self, homes: frozenset[str]) -> Used:
        """What these and all other living nodes say. A home that does not answer is named."""
        asked = sorted({*homes, *self._nodes()})
        answers = await asyncio.gather(*map(self._used_by, asked))
        return Used(
            keys=frozenset(key for answer in answers if answer is not None for key in answer),
            unreached=tuple(
                f"node {node[:NODE_SHOWN]}"
                for node, answer in zip(asked, answers, strict=True)
                if answer is None and node in homes
            ),
        )

    async def _used_by(self, node: str) -> list[UnitKey] | None:
        channel = self._channel(node)
        if channel is None:
            return None
        parts = HousekeepingStub(channel).ListReferences(pb.ReferencesRequest(), timeout=ASK_TIMEOUT_S)
        try:
            return [UnitKey(key.hex()) async for part in parts for key in part.unit_keys]
        except grpc.aio.AioRpcError:
            return None


class HousekeepingServicer(HousekeepingService):
    """Thin: converts, and passes what is for all nodes on to the others."""

    def __init__(
        self,
        *,
        sweep: Sweep,
        database: Database,
        config: Config,
        nodes: NodesNow,
        channel: ChannelTo,
        own: SpkiHash,
    ) -> None:
        """`own` is this node's key."""
        self._sweep = sweep
        self._database = database
        self._config = config
        self._nodes = nodes
        self._channel = channel
        self._own = own

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_HousekeepingServicer_to_server(self, server)

    async def run(self) -> None:
        """Removes what needs nobody's word, until cancelled; see Sweep."""
        await self._sweep.run()

    async def FindGarbage(self, request: pb.GarbageRequest, context: Context) -> pb.Garbage:  # noqa: N802
        """What would go on each node."""
        return await self._everywhere(
            context,
            await self._sweep.find(_keep_s(request)),
            lambda stub, metadata: stub.FindGarbage(request, timeout=SWEEP_TIMEOUT_S, metadata=metadata),
        )

    async def CollectGarbage(self, request: pb.GarbageRequest, context: Context) -> pb.Garbage:  # noqa: N802
        """What has gone from each node."""
        return await self._everywhere(
            context,
            await self._sweep.collect(_keep_s(request)),
            lambda stub, metadata: stub.CollectGarbage(request, timeout=SWEEP_TIMEOUT_S, metadata=metadata),
        )

    async def ListReferences(  # noqa: N802 - the wire's name
        self,
        request: pb.ReferencesRequest,  # noqa: ARG002 - it says nothing
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[pb.References]:
        """The units that jobs of this home use."""
        keys = sorted(await self._sweep.used_here())
        for start in range(0, len(keys), KEYS_A_MESSAGE):
            yield pb.References(unit_keys=[bytes.fromhex(key) for key in keys[start : start + KEYS_A_MESSAGE]])

    async def DescribeNode(  # noqa: N802 - the wire's name
        self,
        request: pb.DescribeNodeRequest,  # noqa: ARG002 - it says nothing
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> pb.Description:
        """This node's settings, ledger and system."""
        ledger = self._config.node.data_dir / "ledger.sqlite"
        return pb.Description(
            settings_json=json.dumps(shown_settings(self._config)),
            rows=await self._database.run(inventory.rows),
            ledger_bytes=ledger.stat().st_size if ledger.exists() else 0,
            ledger_schema=VERSION,
            sqlite_version=sqlite3.sqlite_version,
            python_version=platform.python_version(),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            interpreter_json=await asyncio.to_thread(describe_interpreter),
        )

    async def _everywhere(
        self,
        context: Context,
        here: Swept,
        there: Callable[[HousekeepingAsyncStub, tuple[tuple[str, str], ...]], Awaitable[pb.Garbage]],
    ) -> pb.Garbage:
        garbage = pb.Garbage(nodes=[_to_wire(self._config.node.name, here)])
        if is_forwarded(context):
            return garbage
        metadata = passing_on(self._own)

        async def ask(node: str) -> pb.Garbage:
            channel = self._channel(node)
            if channel is None:
                return _silent(node, "it is not connected")
            try:
                return await there(HousekeepingStub(channel), metadata)
            except grpc.aio.AioRpcError as error:
                return _silent(node, str(error_of_call(error)))

        for answer in await asyncio.gather(*map(ask, self._nodes())):
            garbage.nodes.extend(answer.nodes)
        return garbage


def _keep_s(request: pb.GarbageRequest) -> float:
    keep_s = request.keep_s if request.HasField("keep_s") else KEPT_S
    if not 0 <= keep_s < math.inf:
        raise BadInput("garbage is older than some length of time; give one such as 30d with --older-than")
    return keep_s


def _to_wire(node: str, swept: Swept) -> pb.NodeGarbage:
    kinds = [pb.GarbageOfKind(kind=one.kind, count=one.count, bytes=one.size_bytes) for one in swept.amounts]
    return pb.NodeGarbage(node=node, kinds=kinds, remarks=swept.remarks)


def _silent(node: str, reason: str) -> pb.Garbage:
    remark = f"nothing was removed there ({reason}); what others removed may come back from it until gc runs again"
    return pb.Garbage(nodes=[pb.NodeGarbage(node=node[:NODE_SHOWN], remarks=[remark])])
