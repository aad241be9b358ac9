"""Nodes on one machine that know nothing of each other find each other by Bonjour on loopback."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from realign_client import bonjour
from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.announcement import Announcement, mark
from realign_daemon.cluster.discovery import Discovery, find_join
from realign_daemon.cluster.membership import PeerJoined
from realign_daemon.testing.loopback_node import loopback_node
from realign_daemon.trust.keys import mint_key, node_id

if TYPE_CHECKING:
    from pathlib import Path

    from realign_daemon.testing.loopback_node import LoopbackNode


async def agreed_leader(nodes: list[LoopbackNode]) -> str:
    """The leader, once every node names the same one and sees every other."""
    while True:
        leaders = {node.view.leader for node in nodes}
        everybody = all(len(node.view.members()) == len(nodes) for node in nodes)
        if everybody and len(leaders) == 1 and (leader := leaders.pop()) is not None:
            return leader
        await asyncio.sleep(0.02)


async def test_three_nodes_of_one_tag_find_each_other_and_agree_on_a_leader(tmp_path: Path) -> None:
    tag = secrets.token_hex(8)
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        nodes = [
            await stack.enter_async_context(loopback_node(tmp_path / name, tag=tag, discovery=True))
            for name in ("first", "second", "third")
        ]

        leader = await agreed_leader(nodes)

        assert leader in {node.view.identity.node for node in nodes}
        for node in nodes:
            assert {member.state for member in node.view.members()} == {"alive"}
            assert {str(address) for member in node.view.members() for address in member.addresses} == {
                str(other.address) for other in nodes
            }


async def test_a_node_of_another_tag_on_the_same_machine_is_never_met(tmp_path: Path) -> None:
    tag = secrets.token_hex(8)
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        stranger = await stack.enter_async_context(
            loopback_node(tmp_path / "stranger", tag=f"not {tag}", discovery=True)
        )
        first = await stack.enter_async_context(loopback_node(tmp_path / "first", tag=tag, discovery=True))
        events = first.view.subscribe()
        second = await stack.enter_async_context(loopback_node(tmp_path / "second", tag=tag, discovery=True))
        await agreed_leader([first, second])

        joined = await anext(event async for event in events if isinstance(event, PeerJoined))

        assert joined == PeerJoined(node=second.view.identity.node)
        assert [member.node for member in stranger.view.members()] == [stranger.view.identity.node]
        assert first.view.refusals == {}


async def test_who_has_an_invitation_finds_where_to_ask_and_others_do_not(tmp_path: Path) -> None:
    digest, address = secrets.token_bytes(32), Address(host="127.0.0.1", port=7411)
    said = Announcement(node=node_id(mint_key().public_key()), name="studio", marks=(mark(digest),), join_port=7412)
    announcing = asyncio.create_task(
        Discovery(lambda: said, addresses=lambda: (address,)).run(lambda _: None), name="announcing"
    )
    try:
        assert await find_join(digest, timeout_s=10) == (Address(host="127.0.0.1", port=7412),)
        assert await find_join(secrets.token_bytes(32), timeout_s=0.5) == ()
        assert await asyncio.to_thread(_within_a_loop, digest) == ("127.0.0.1:7412",)
    finally:
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)


def _within_a_loop(digest: bytes) -> tuple[str, ...]:
    """As a command asks: from within its event loop, which stands still meanwhile."""

    async def command() -> tuple[str, ...]:
        return bonjour.find_join(digest, 10)

    return asyncio.run(command())
