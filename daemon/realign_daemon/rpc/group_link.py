"""Group link: a head's connections to the nodes of its ranks, over gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from realign_daemon.groups.messages import Command, Event
from realign_daemon.rpc.group_convert import command_to_wire, event_from_wire
from realign_daemon.rpc.work_link import Channel
from realign_proto.v1 import groups_pb2 as pb
from realign_proto.v1.groups_pb2_grpc import GroupsStub


class GroupLink:
    """One Serve call. See groups.roll.GroupLink."""

    def __init__(self, call: grpc.aio.StreamStreamCall[pb.GroupCommand, pb.GroupEvent]) -> None:
        self._call = call

    async def send(self, command: Command) -> None:
        """Sends a command. Raises ConnectionError when the node has gone."""
        try:
            await self._call.write(command_to_wire(command))
        except grpc.aio.AioRpcError as error:
            raise ConnectionError("the node ended the connection") from error

    async def events(self) -> AsyncIterator[Event]:
        """What the node says, until it goes. Raises ConnectionError when that was not in good order."""
        try:
            async for wire in self._call:
                event = event_from_wire(wire)
                if event is not None:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(error.details() or "no answer") from error


class GroupLinks:
    """Links by node id."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @asynccontextmanager
    async def connect(self, node: str) -> AsyncGenerator[GroupLink]:
        """A link that is cancelled on leaving. Raises ConnectionError when the node is not connected."""
        channel = self._channel(node)
        if channel is None:
            raise ConnectionError("the node is not connected")
        call = GroupsStub(channel).Serve()
        try:
            yield GroupLink(call)
        finally:
            call.cancel()
