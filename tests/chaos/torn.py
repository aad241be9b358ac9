"""Torn: nodes hold a model together that none may hold alone, and the cable of one of them is pulled.

The job must end, with the rows that a node makes which holds the model alone, and with no unit kept twice.
"""

from __future__ import annotations

import asyncio
import time

from tests.chaos.groups import empty, group_of, reference, remember, settings, submitted
from tests.chaos.injuries import Injured
from tests.chaos.lan import hosts, pair
from tests.chaos.namespaces import Lan
from tests.chaos.outcome import NotInTime, Outcome
from tests.chaos.recovery import Recovery, Round
from tests.chaos.setting import Setting

MEMORY_GB = 0.015  # of the deep model's 0.023: any two hold it, so that two go on without the third


async def run(setting: Setting) -> Outcome:
    """See the module. Each round is a cluster and a job of its own, and one cut: the cable, or one direction."""
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
            await asyncio.sleep(rng.uniform(0.5, 10))
            host, away_s = rng.choice(sorted(ranks)), rng.uniform(8, 14)
            group = next(iter(ranks.values())).group
            part = "home" if host == home else "head" if host == group.nodes[0] else "member"
            cut = (lan.cut, lan.mute, lan.deafen)[number % 3]
            setting.tell(f"  {cut.__name__} {part}: {host} of {', '.join(group.nodes)} for {away_s:.1f} s")
            cluster.struck()
            at_unix_s = time.time()
            cut(host)
            await asyncio.sleep(away_s)
            lan.heal(host)
            injured = Injured(
                node=host,
                title=f"{part} {cut.__name__}",
                parallelism=group.parallelism,
                in_group=True,
                at_unix_s=at_unix_s,
                back_unix_s=time.time(),
            )
            violations, _ = await cluster.judged()
        recovery.add(Round(name=f"round {number}", cluster=cluster, memory=memory, injured=[injured]), violations)
    figures, late = recovery.figures()
    return setting.outcome(recovery.violations, figures, late)
