"""Decision link: asks other nodes for their votes over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import grpc.aio

from realign_daemon.decision.messages import Accept, Prepare, Reply, Request
from realign_daemon.rpc import decision_convert as convert
from realign_proto.v1.decision_pb2_grpc import DecisionStub

ASK_TIMEOUT_S = 3.0  # a node that is silent for as long is suspected; see cluster.timing

Channel = Callable[[str], grpc.aio.Channel | None]  # node id -> open channel; None when the node is not connected


class DecisionLink:
    """See decision.campaign.Voters."""

    def __init__(self, *, channel: Channel, timeout_s: float = ASK_TIMEOUT_S) -> None:
        self._channel = channel
        self._timeout_s = timeout_s

    async def ask(self, node: str, request: Request) -> Reply:
        """The node's answer. Raises ConnectionError when it gives none in time, or none that can be read."""
        channel = self._channel(node)
        if channel is None:
            raise ConnectionError(f"node {node} is not connected")
        stub = DecisionStub(channel)
        try:
            match request:
                case Prepare():
                    promise = await stub.Prepare(convert.prepare_to_wire(request), timeout=self._timeout_s)
                    return convert.prepare_reply_from_wire(promise)
                case Accept():
                    vote = await stub.Accept(convert.accept_to_wire(request), timeout=self._timeout_s)
                    return convert.accept_reply_from_wire(vote)
                case _:
                    assert_never(request)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(error.details() or "the node can't be reached") from error
        except ValueError as error:
            raise ConnectionError(f"node {node} gave an answer that this realign can't read: {error}") from error
