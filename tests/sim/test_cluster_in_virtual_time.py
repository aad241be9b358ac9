"""Whole nodes of a cluster in virtual time: the real view, peers, servicer and stubs, over the simulated network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from realign_daemon.testing.memory_socket import Conditions
from realign_daemon.testing.virtual_cluster import Belief, VirtualCluster
from realign_daemon.testing.virtual_loop import VirtualLoop, run

CALM_S = 30.0  # dead_s, the silence of a restarted node, the redials, and room


class Cluster(VirtualCluster):
    """That gets into trouble."""

    async def trouble(self) -> None:
        """Something happens to somebody, and passes again or not."""
        node = self.chance.choice(self.nodes)
        lasts_s = self.chance.uniform(0.1, 20)
        match self.chance.choice(["cut", "isolate", "heal", "loss", "freeze", "sleep", "crash", "power"]):
            case "cut":
                self.network.cut(node.host, self.chance.choice(self.nodes).host)
            case "isolate":
                self.network.isolate(node.host)
            case "loss":
                other = self.chance.choice(self.nodes)
                self.network.change(node.host, other.host, Conditions(loss_fraction=0.1, latency_s=0.02))
            case "freeze":
                node.host.freeze()
                await asyncio.sleep(lasts_s)
                node.host.resume()
            case "sleep":
                node.host.sleep()
                await asyncio.sleep(lasts_s)
                node.host.resume()
            case "crash" | "power" as way:
                (node.host.crash if way == "crash" else node.host.lose_power)()
                await asyncio.sleep(lasts_s)
                node.boot()
            case _:
                self.network.heal()


async def cut_and_heal(loop: VirtualLoop) -> list[set[Belief]]:
    cluster = Cluster(loop)
    await asyncio.sleep(10)
    before = cluster.beliefs
    cut_off = cluster.leader()
    cluster.network.isolate(cut_off.host)
    await asyncio.sleep(10)
    apart = {node.believes for node in cluster.nodes if node is not cut_off}
    cluster.network.heal()
    await asyncio.sleep(10)
    return [before, apart, cluster.beliefs]


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_off_leader_is_replaced_and_after_the_cut_all_follow_the_new_one(seed: int) -> None:
    (before, apart, after), _ = run(cut_and_heal, seed)

    ((term, first, alive),) = before
    assert (term, alive) == (1, 3)
    ((term, second, alive),) = apart
    assert (term, alive) == (2, 2)
    assert second not in (first, None)
    assert after == {(2, second, 3)}


@pytest.mark.parametrize("seed", range(20))
def test_after_cuts_losses_freezes_sleeps_and_crashes_all_nodes_agree(seed: int) -> None:
    async def main(loop: VirtualLoop) -> set[Belief]:
        cluster = Cluster(loop)
        for _ in range(12):
            await asyncio.sleep(loop.chance.uniform(0, 6))
            await cluster.trouble()
        cluster.network.heal()
        await asyncio.sleep(CALM_S)
        return cluster.beliefs

    beliefs, _ = run(main, seed)

    ((_, leader, alive),) = beliefs
    assert (leader is not None, alive) == (True, 3)


def test_the_trace_of_a_cluster_does_not_depend_on_how_python_hashes() -> None:
    program = "from tests.sim.test_cluster_in_virtual_time import *; print(run(cut_and_heal, 1)[1])"

    def trace(hash_seed: str) -> str:
        environment: dict[str, Any] = {**os.environ, "PYTHONHASHSEED": hash_seed}
        finished = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return finished.stdout.splitlines()[-1]

    assert trace("1") == trace("2") == trace("3")
