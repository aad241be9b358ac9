"""An address at which nobody answers: what the log says of it while it is dialled again and again."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import grpc.aio
import pytest
from structlog.testing import capture_logs

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.facts import NodeId
from realign_daemon.cluster.greeting import Greeting
from realign_daemon.cluster.peers import Peers, Target
from realign_daemon.rpc.channels import open_channel
from realign_daemon.testing.loopback_node import QUICK

pytestmark = pytest.mark.deadline(30)


class Lonely:
    """This node's side of what is said, as far as it comes where nobody answers."""

    def greeting(self) -> Greeting:
        return Greeting(node=NodeId("a" * 26), name="a", tag="t", version="1")


async def test_that_nobody_answers_is_told_once_however_often_it_is_tried_and_again_after_it_was_given_up() -> None:
    with socket.socket() as taken:  # bound and not listening: whoever dials it is refused at once
        taken.bind(("127.0.0.1", 0))
        target = Target(address=Address(host="127.0.0.1", port=taken.getsockname()[1]))
        dialled: asyncio.Queue[Address] = asyncio.Queue()

        def dial(address: Address, expects: NodeId | None) -> grpc.aio.Channel:
            dialled.put_nowait(address)
            return open_channel(address, expects)

        peers = Peers(cast("Any", Lonely()), open_channel=dial, timing=QUICK)
        running = asyncio.create_task(peers.run())
        with capture_logs() as logs:
            for times in (1, 2):
                peers.want([target])
                for _ in range(4):
                    await dialled.get()
                told = [one for one in logs if one["event"] == "peer.unreachable"]
                assert [one["log_level"] for one in told] == ["info"] * times
                peers.hang_up()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
