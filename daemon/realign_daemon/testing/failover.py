"""Failover: how long a cluster in virtual time is without a leader, and how soon one that was away is back in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

from realign_daemon.testing.virtual_cluster import VirtualCluster, VirtualNode
from realign_daemon.testing.virtual_loop import VirtualLoop, run

Way = Literal["crash", "power", "cut", "freeze", "sleep"]
WAYS: tuple[Way, ...] = get_args(Way)

LOOK_S = 0.05
SETTLE_S = 12.0
AWAY_S = 30.0
BOOT_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """One leader that went and came back, in seconds.

    `failover_s` runs from its last beat that the next leader heard until that one leads, `back_s` from the end of the
    trouble, or the start of the new process, until all nodes hear each other and follow the same leader.
    """

    failover_s: float
    back_s: float


def measure(way: Way, size: int, seed: int) -> Failover:
    """The leader of a settled cluster goes at some moment of its beat, and comes back."""
    return run(lambda loop: _lose_a_leader(loop, way, size), seed)[0]


async def _lose_a_leader(loop: VirtualLoop, way: Way, size: int) -> Failover:
    cluster = VirtualCluster(loop, size, within_s=BOOT_WITHIN_S)
    await asyncio.sleep(SETTLE_S + loop.chance.uniform(0, 2))
    old = cluster.leader()
    others = [node for node in cluster.nodes if node is not old]
    bring_back = _take_away(cluster, old, way)
    await _until(lambda: any(node.leads for node in others))
    new = next(node for node in others if node.leads)
    assert new.view is not None, "it leads"
    failover_s = next(member.silent_s for member in new.view.members() if member.node == old.host.name)
    await asyncio.sleep(AWAY_S)
    bring_back()
    began_s = loop.time()
    await _until(lambda: _agree(cluster))
    return Failover(failover_s=failover_s, back_s=loop.time() - began_s)


def _take_away(cluster: VirtualCluster, old: VirtualNode, way: Way) -> Callable[[], None]:
    """Does it; gives what brings the node back."""
    match way:
        case "crash":
            old.host.crash()
            return old.boot
        case "power":
            old.host.lose_power()
            return old.boot
        case "cut":
            cluster.network.isolate(old.host)
            return cluster.network.heal
        case "freeze":
            old.host.freeze()
            return old.host.resume
        case "sleep":
            old.host.sleep()
            return old.host.resume
        case _:
            assert_never(way)


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - to look costs no virtual time
        await asyncio.sleep(LOOK_S)


def _agree(cluster: VirtualCluster) -> bool:
    beliefs = cluster.beliefs
    return len(beliefs) == 1 and all(leader and alive == len(cluster.nodes) for _, leader, alive in beliefs)
