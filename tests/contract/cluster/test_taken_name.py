"""A node under whose name somebody else announces itself says so, finds the others, and is found once it can be."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from realign_daemon.cluster.addresses import Address
from realign_daemon.cluster.announcement import Announcement
from realign_daemon.cluster.discovery import Discovery, Finding, PeerFound, PeerGone
from realign_daemon.trust.keys import mint_key, node_id
from realign_planner.diagnosis.log_failures import name_taken_in

if TYPE_CHECKING:
    from realign_daemon.cluster.facts import NodeId

OWN, OTHER = (node_id(mint_key().public_key()) for _ in range(2))


@pytest.fixture
def mark() -> str:
    """Of a cluster that no other test is in."""
    return secrets.token_hex(8)


@asynccontextmanager
async def announced(
    node: NodeId, mark: str, port: int, report: Callable[[Finding], None] = lambda _: None
) -> AsyncGenerator[Discovery]:
    """A node's discovery while it runs; reports nothing of nodes that other tests announce beside this one."""

    def report_ours(finding: Finding) -> None:
        if finding.node in (OWN, OTHER):
            report(finding)

    said, address = Announcement(node=node, name="studio", marks=(mark,)), Address(host="127.0.0.1", port=port)
    discovery = Discovery(lambda: said, addresses=lambda: (address,))
    running = asyncio.create_task(discovery.run(report_ours), name=f"discovery of {port}")
    try:
        yield discovery
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def found_at(node: NodeId, port: int) -> PeerFound:
    return PeerFound(node=node, addresses=(Address(host="127.0.0.1", port=port),))


async def until_warned(logs: list[MutableMapping[str, Any]]) -> None:
    while not any(entry["event"] == "discovery.name_taken" for entry in logs):  # noqa: ASYNC110 - a log
        await asyncio.sleep(0.02)


@pytest.mark.deadline(30)
async def test_a_node_whose_name_is_taken_finds_the_others_and_is_announced_once_the_name_is_free(mark: str) -> None:
    heard, found = asyncio.Queue[Finding](), asyncio.Queue[Finding]()
    with capture_logs() as logs:
        async with AsyncExitStack() as all_of_them, AsyncExitStack() as copy:
            await all_of_them.enter_async_context(announced(OTHER, mark, 7413, heard.put_nowait))
            await copy.enter_async_context(announced(OWN, mark, 7411))
            assert await heard.get() == found_at(OWN, 7411)

            node = await all_of_them.enter_async_context(announced(OWN, mark, 7412, found.put_nowait))
            assert await found.get() == found_at(OTHER, 7413)
            await until_warned(logs)
            node.wake()  # sooner than after a minute, and still in vain

            await copy.aclose()
            assert await heard.get() == PeerGone(node=OWN)
            node.wake()
            assert await heard.get() == found_at(OWN, 7412)
    taken = [entry for entry in logs if entry["event"] == "discovery.name_taken"]
    assert [(entry["log_level"], entry["node"]) for entry in taken] == [("warning", OWN)]
    last = next(entry for entry in logs if entry["event"] == "discovery.announced")
    told = json.dumps(taken[0])  # by which doctor knows it, and that it is over
    assert name_taken_in(told)
    assert not name_taken_in(f"{told}\n{json.dumps(last)}")
