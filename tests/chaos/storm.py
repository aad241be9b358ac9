"""Storm: daemons are killed and frozen at random moments while jobs run and new ones come; nothing may be lost."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tests.chaos.cluster import Cluster, peers
from tests.chaos.daemon import Daemon
from tests.chaos.outcome import Outcome
from tests.chaos.setting import Setting

MEAN_GAP_S = 3.0
SUBMIT_EVERY_S = 12.0  # about as long as two cores need for one job
GIVEN_UP_S = 6.0  # so long silent, a node's units go to others


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """What happens to one daemon, and for how long."""

    after_s: float  # the blow before it
    node: str
    kind: Literal["kill", "freeze"]
    for_s: float


def blows(rng: random.Random, names: tuple[str, ...], count: int) -> tuple[Blow, ...]:
    """Short ones that nobody notices, and long ones after which a node is given up. One node can be hit twice over."""
    return tuple(
        Blow(
            after_s=rng.expovariate(1 / MEAN_GAP_S),
            node=rng.choice(names),
            kind=rng.choice(("kill", "freeze")),
            for_s=rng.choice((rng.uniform(0.1, 2), rng.uniform(7, 11))),
        )
        for _ in range(count)
    )


async def run(setting: Setting) -> Outcome:
    """See the module."""
    async with setting.cluster() as cluster:
        for daemon in peers(setting.folder, setting.names):
            cluster.add(daemon)
        await cluster.agreed()
        await _blow(cluster, blows(setting.rng, setting.names, setting.rounds))
        await cluster.agreed()
        violations, figures = await cluster.judged()
    return setting.outcome(violations, figures)


async def _blow(cluster: Cluster, storm: tuple[Blow, ...]) -> None:
    await cluster.submit(next(iter(cluster.daemons.values())))
    customers = asyncio.create_task(_submit_on(cluster), name="customers")
    busy = {name: asyncio.Lock() for name in cluster.daemons}
    async with asyncio.TaskGroup() as struck:
        for blow in storm:
            await asyncio.sleep(blow.after_s)
            struck.create_task(_strike(cluster, blow, busy[blow.node]), name=f"{blow.kind} {blow.node}")
    customers.cancel()
    with suppress(asyncio.CancelledError):
        await customers


async def _strike(cluster: Cluster, blow: Blow, busy: asyncio.Lock) -> None:
    daemon: Daemon = cluster.daemons[blow.node]
    async with busy:
        cluster.tell(f"  {blow.kind} {blow.node} for {blow.for_s:.1f} s")
        if blow.kind == "kill":
            cluster.kill(daemon)
            await asyncio.sleep(blow.for_s)
            daemon.start()
        else:
            daemon.freeze()
            await asyncio.sleep(blow.for_s)
            daemon.thaw()
            if blow.for_s > GIVEN_UP_S / 2:  # a busy machine makes a silence longer
                cluster.struck()


async def _submit_on(cluster: Cluster) -> None:
    """People who submit at any node, whether it can answer or not."""
    while True:
        await asyncio.sleep(cluster.rng.expovariate(1 / SUBMIT_EVERY_S))
        await cluster.submit(cluster.rng.choice(list(cluster.daemons.values())))
