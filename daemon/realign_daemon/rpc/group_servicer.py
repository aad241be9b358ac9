"""Group servicer: lets the head of a group use this node's member."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote

import grpc.aio
import structlog

from realign_daemon.groups.member import Member
from realign_daemon.groups.messages import Command, Ended, Event
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.group_convert import command_from_wire, event_to_wire
from realign_proto.v1 import groups_pb2 as pb
from realign_proto.v1.groups_pb2_grpc import GroupsServicer as GroupsService
from realign_proto.v1.groups_pb2_grpc import add_GroupsServicer_to_server

log = structlog.get_logger()


class GroupServicer(GroupsService):
    """Thin: converts and passes on."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_GroupsServicer_to_server(self, server)

    async def Serve(  # noqa: N802 - the wire's name
        self, request_iterator: AsyncIterator[pb.GroupCommand], context: Context
    ) -> AsyncIterator[pb.GroupEvent]:
        """Commands in, events out, until one of the two ends it: then there is no rank here any more."""
        outbox = asyncio.Queue[Event | None]()  # bounded by the beats of one rank
        serving = asyncio.create_task(
            self._member.serve(_commands(request_iterator, outbox), outbox.put_nowait, head_host=_host(context.peer())),
            name="group.serve",
        )
        serving.add_done_callback(lambda _: outbox.put_nowait(None))
        try:
            while (event := await outbox.get()) is not None:
                yield event_to_wire(event)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def _commands(
    wires: AsyncIterator[pb.GroupCommand], outbox: asyncio.Queue[Event | None]
) -> AsyncIterator[Command]:
    async for wire in wires:
        try:
            command = command_from_wire(wire)
        except ValueError as error:  # a newer head, or damage
            log.warning("group.undecodable", reason=str(error))
            outbox.put_nowait(Ended(cause=f"its realign may be older than the head's: {error}", is_refusal=True))
            return
        if command is not None:
            yield command


def _host(peer: str) -> str:
    """The IPv4 address in gRPC's "ipv4:1.2.3.4:50", or in a mapped "ipv6:[::ffff:1.2.3.4]:50"; "" without one."""
    kind, _, address = unquote(peer).partition(":")
    host = address.rpartition(":")[0].strip("[]").removeprefix("::ffff:")
    return host if kind in ("ipv4", "ipv6") and ":" not in host else ""
