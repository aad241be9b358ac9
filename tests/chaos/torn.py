"""Torn: nodes hold a model together that none may hold alone, and a cable is pulled: one node's, or one between two.

The job must end, with the rows that a node makes which holds the model alone, and with no unit kept twice.
"""

from __future__ import annotations

import asyncio
import time

from tests.chaos.cluster import POLL_S, Cluster
from tests.chaos.groups import empty, group_of, reference, remember, settings, submitted
from tests.chaos.injuries import Injured, Ranks
from tests.chaos.lan import hosts, pair
from tests.chaos.namespaces import Lan
from tests.chaos.outcome import NotInTime, Outcome
from tests.chaos.recovery import Recovery, Round
from tests.chaos.setting import Setting

FORMED_S = 60.0
CUTS = ("unplug", "cut", "mute", "deafen")
MEMORY_GB = 0.015  # of the deep model's 0.023: any two hold it, so that two go on without the third


async def run(setting: Setting) -> Outcome:
    """See the module. Each round is a cluster and a job of its own, and one cut.

    The cable, one direction, or only what the ranks of two nodes say to each other: all beat then, and none gets on.
    """
    rng, lan = setting.rng, Lan(setting.names)
    recovery = Recovery(await reference(setting), setting.tell)
    memory = dict.fromkeys(setting.names, MEMORY_GB)
    for number in range(setting.rounds):
        async with empty(setting, f"round-{number}") as cluster:
            daemons = hosts(cluster.folder, lan, setting.names, lambda _: settings(setting, MEMORY_GB))
            for daemon in daemons:
                remember(setting, daemon)
            await pair(cluster, daemons)
            home = await cluster.agreed()
            job_id = await submitted(cluster, home)
            ranks = await group_of(cluster, job_id, other_than="")
            if not ranks:
                raise NotInTime(f"{job_id} ended without a group")
            cut = CUTS[number % len(CUTS)]
            if cut == "unplug":  # in the midst of work: while they join it would be noticed by their not joining
                await _formed(cluster, ranks)
            await asyncio.sleep(rng.uniform(0.5, 10))
            host, away_s = rng.choice(sorted(ranks)), rng.uniform(8, 14)
            group = next(iter(ranks.values())).group
            part = "home" if host == home else "head" if host == group.nodes[0] else "member"
            setting.tell(f"  {cut} {part}: {host} of {', '.join(group.nodes)} for {away_s:.1f} s")
            cluster.struck()
            at_unix_s = time.time()
            match cut:
                case "cut":
                    lan.cut(host)
                case "mute":
                    lan.mute(host)
                case "deafen":
                    lan.deafen(host)
                case "unplug":
                    next_rank = group.nodes[(list(group.nodes).index(host) + 1) % group.size]
                    lan.unplug(host, next_rank, ports={daemon.name: daemon.port for daemon in daemons})
            await asyncio.sleep(away_s)
            lan.heal(host)
            injured = Injured(
                node=host,
                # Of an unplugged node nothing is lost but that cable.
                title=f"rank {cut}" if cut == "unplug" else f"{part} {cut}",
                parallelism=group.parallelism,
                in_group=True,
                at_unix_s=at_unix_s,
                back_unix_s=time.time(),
            )
            violations, _ = await cluster.judged()
        recovery.add(Round(name=f"round {number}", cluster=cluster, memory=memory, injured=[injured]), violations)
    figures, late = recovery.figures()
    return setting.outcome(recovery.violations, figures, late)


async def _formed(cluster: Cluster, ranks: Ranks) -> None:
    """Returns once the group has its first work. Raises NotInTime."""
    group = next(iter(ranks.values())).group
    head = cluster.daemons[group.nodes[0]]
    deadline = time.monotonic() + FORMED_S
    while not any(event["group"] == group.id for event in head.events("group.formed")):
        if time.monotonic() > deadline:
            raise NotInTime(f"a group over {', '.join(group.nodes)} is not formed after {FORMED_S:.0f} s")
        await asyncio.sleep(POLL_S)
