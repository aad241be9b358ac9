"""Beats as they come over a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator

from realign_daemon.cluster.peers import received
from realign_proto.v1 import cluster_pb2, facts_pb2


async def wires(*sequences: int) -> AsyncIterator[cluster_pb2.Beat]:
    for sequence in sequences:
        yield cluster_pb2.Beat(node_id="n", boot_id="b", sequence=sequence, facts=facts_pb2.NodeFacts(node_id="n"))


async def test_what_came_over_another_connection_is_passed_over_but_for_the_first_which_says_who_speaks() -> None:
    def is_news(_node: str, _boot: str, sequence: int) -> bool:
        return sequence > 5

    heard = [beat async for beat in received(wires(3, 4, 5, 6), timeout_s=1.0, is_news=is_news)]

    assert [beat.sequence for beat in heard] == [3, 6]
