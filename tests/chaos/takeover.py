"""Takeover: how long a cluster is without its leader, as those that are left say it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from tests.chaos.cluster import POLL_S, Cluster
from tests.chaos.daemon import Daemon
from tests.chaos.outcome import Figures, NotInTime, beyond, spread

TAKEN_OVER_S = 60.0
# Of a leader that vanishes: from its last beat that was heard to the first moment of a new one; then from the end of
# the trouble until all nodes hear each other and follow one leader.
TARGETS = {"failover_p50_s": 8.0, "failover_p99_s": 12.0, "back_p99_s": 5.0}


@dataclass(slots=True, kw_only=True)
class Silence:
    """What the others saw of a node that went away; times by the wall clock of the one machine."""

    began_unix_s: float
    last_beat_unix_s: float = 0.0
    suspected_unix_s: float = 0.0
    led_since_unix_s: float = 0.0  # by somebody else

    @property
    def noticed_s(self) -> float:
        """From the trouble to the first doubt."""
        return self.suspected_unix_s - self.began_unix_s

    @property
    def failover_s(self) -> float:
        """Without a leader."""
        return self.led_since_unix_s - self.last_beat_unix_s


async def watch_silence(cluster: Cluster, gone: Daemon, *, led: bool) -> Silence:
    """What the others see until they doubt the node and, if it led, another one leads. Raises NotInTime."""
    others = [daemon for daemon in cluster.daemons.values() if daemon is not gone]
    seen = Silence(began_unix_s=time.time())
    deadline = time.monotonic() + TAKEN_OVER_S
    while not seen.suspected_unix_s or (led and not seen.led_since_unix_s):
        if time.monotonic() > deadline:
            raise NotInTime(f"nobody took over from {gone.name} within {TAKEN_OVER_S:.0f} s")
        for status in (await cluster.statuses(others)).values():
            now = time.time()
            for member in status.members:
                if member.name == gone.name:
                    seen.last_beat_unix_s = max(seen.last_beat_unix_s, now - member.last_seen_s)
                    if member.state != "alive" and not seen.suspected_unix_s:
                        seen.suspected_unix_s = now
            if led and status.leader.name == status.node.name:
                seen.led_since_unix_s = status.leader.since_unix_s
        await asyncio.sleep(POLL_S)
    return seen


def takeover_figures(silences: list[Silence], back: list[float]) -> tuple[Figures, tuple[str, ...]]:
    """The figures of all rounds, and those that are above their targets."""
    figures = (
        spread("noticed", [one.noticed_s for one in silences])
        | spread("failover", [one.failover_s for one in silences if one.led_since_unix_s])
        | spread("back", back)
    )
    return figures, beyond(figures, TARGETS)
