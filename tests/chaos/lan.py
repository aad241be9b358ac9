"""LAN: machines that found each other by Bonjour and trust each other by certificates lose and find the network."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.daemon import Daemon
from tests.chaos.namespaces import Lan
from tests.chaos.outcome import NotInTime, Outcome
from tests.chaos.setting import Setting
from tests.chaos.takeover import Silence, takeover_figures, watch_silence

READY_S = 60.0
CUT_FOR_S = 4.0  # beyond the takeover: a job goes on without the node


async def run(setting: Setting) -> Outcome:
    """See the module. Each round cuts one node off, every other time the leader: the cable, or one direction."""
    rng = setting.rng
    lan = Lan(setting.names)
    silences: list[Silence] = []
    back: list[float] = []
    async with setting.cluster() as cluster:
        await pair(cluster, hosts(setting.folder, lan, setting.names))
        for number in range(setting.rounds):
            leader = await cluster.agreed()
            await cluster.submit(cluster.daemons[rng.choice(setting.names)])
            host = leader if number % 2 == 0 else rng.choice([name for name in setting.names if name != leader])
            cut = (lan.cut, lan.mute, lan.deafen)[number % 3]
            await asyncio.sleep(rng.uniform(0, 2))
            cut(host)
            cluster.struck()
            silence = await watch_silence(cluster, cluster.daemons[host], led=host == leader)
            await asyncio.sleep(rng.uniform(0, CUT_FOR_S))
            lan.heal(host)
            at_s = time.monotonic()
            await cluster.agreed()
            silences.append(silence)
            back.append(time.monotonic() - at_s)
            took = f", failover {silence.failover_s:.1f} s" if host == leader else ""
            setting.tell(f"  {cut.__name__} {host}: noticed {silence.noticed_s:.1f} s{took}, back {back[-1]:.1f} s")
        violations, counts = await cluster.judged()
    figures, late = takeover_figures(silences, back)
    return setting.outcome(violations, figures | counts, late)


def hosts(
    folder: Path, lan: Lan, names: Sequence[str], settings: Callable[[str], Mapping[str, str]] = lambda _: {}
) -> list[Daemon]:
    """A daemon on each host, not started yet, each with its own environment variables."""
    tag = secrets.token_hex(8)
    return [Daemon(folder / name, within=lan.within(name), tag=tag, settings=settings(name)) for name in names]


async def pair(cluster: Cluster, daemons: Sequence[Daemon]) -> None:
    """Starts them. The first founds the cluster and invites the others, which find it by themselves."""
    founder, *others = map(cluster.add, daemons)
    await _ready(cluster)
    await _said(founder, "cluster", "init", "--name", "chaos")
    for daemon in others:
        line = await _said(founder, "cluster", "invite")
        await _said(daemon, *line.split()[1:])
        cluster.tell(f"  {daemon.name} has joined")
    await cluster.agreed()


async def _ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + READY_S
    while len(await cluster.statuses()) < len(cluster.daemons):
        if time.monotonic() > deadline:
            raise NotInTime(f"not every daemon answers after {READY_S:.0f} s")
        await asyncio.sleep(0.1)


async def _said(daemon: Daemon, *arguments: str) -> str:
    done = await daemon.ctl(*arguments)
    if done.code:
        raise NotInTime(f"realignctl {' '.join(arguments[:2])} on {daemon.name}: {done.stderr.strip()}")
    return done.stdout
