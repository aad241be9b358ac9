"""Failover: the leader is killed or frozen, round after round, and how long the others need is measured."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.cluster import peers
from tests.chaos.outcome import Outcome
from tests.chaos.setting import Setting
from tests.chaos.takeover import Silence, takeover_figures, watch_silence


async def run(setting: Setting) -> Outcome:
    """See the module. Every other round the leader is killed, in those between it is frozen."""
    rng = setting.rng
    silences: list[Silence] = []
    back: list[float] = []
    async with setting.cluster() as cluster:
        for daemon in peers(setting.folder, setting.names):
            cluster.add(daemon)
        for number in range(setting.rounds):
            leader = cluster.daemons[await cluster.agreed()]
            await asyncio.sleep(rng.uniform(0, 2))  # at any moment between two beats
            is_killed = number % 2 == 0
            if is_killed:
                cluster.kill(leader)
            else:
                leader.freeze()
            silence = await watch_silence(cluster, leader, led=True)
            at_s = time.monotonic()
            if is_killed:
                leader.start()
            else:
                leader.thaw()
            await cluster.agreed()
            silences.append(silence)
            back.append(time.monotonic() - at_s)
            how = "killed" if is_killed else "frozen"
            setting.tell(f"  {leader.name} {how}: failover {silence.failover_s:.1f} s, back {back[-1]:.1f} s")
        violations, counts = await cluster.judged()
    figures, late = takeover_figures(silences, back)
    return setting.outcome(violations, figures | {"kills": counts["kills"]}, late)
