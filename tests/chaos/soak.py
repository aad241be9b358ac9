"""Soak: every core is busy with other people's work for a long time, and no node may be taken for dead meanwhile."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from tests.chaos.cluster import peers
from tests.chaos.daemon import Daemon
from tests.chaos.outcome import Figures, Outcome, beyond
from tests.chaos.setting import Setting

WARM_S = 20.0  # what a daemon takes once, when it starts, is no leak
# A leak that matters in a year of uptime shows as less than this in an hour; noise of twenty minutes is below it.
MOST_MB_PER_H = 30.0
MOST_MORE_FDS = 5


BUSY = "while True: pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of a daemon's own process."""

    at_s: float
    rss_mb: float
    fds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a daemon takes at the end, and how much more that is than at the beginning."""

    rss_mb: float
    mb_per_h: float
    fds: int
    more_fds: int


async def run(setting: Setting) -> Outcome:
    """See the module."""
    async with setting.cluster() as cluster:
        for daemon in peers(setting.folder, setting.names):
            cluster.add(daemon)
        await cluster.agreed()
        with _busy_cores():
            await asyncio.sleep(min(WARM_S, setting.minutes * 60 / 4))
            leader = await cluster.agreed()
            begun = {daemon: (daemon.log.stat().st_size, _size(daemon)) for daemon in cluster.daemons.values()}
            await asyncio.sleep(setting.minutes * 60)
            grown = [_growth(size, _size(daemon)) for daemon, (_, size) in begun.items()]
            deaths = [
                f"{daemon.name} at {event['timestamp']}: {event['event']}"
                for daemon, (start, _) in begun.items()
                for event in daemon.events("peer.lost", "cluster.leader", since_bytes=start)
            ]
            doubts = sum(len(d.events("peer.suspected", since_bytes=start)) for d, (start, _) in begun.items())
            if (still := await cluster.agreed()) != leader:
                deaths.append(f"{leader} led at the beginning and {still} at the end")
        violations, _ = await cluster.judged()
    figures: Figures = {
        "minutes": setting.minutes,
        "false_deaths": len(deaths),
        "doubts": doubts,
        "rss_mb": round(max(growth.rss_mb for growth in grown), 1),
        "rss_mb_per_h": round(max(growth.mb_per_h for growth in grown), 1),
        "fds": max(growth.fds for growth in grown),
        "more_fds": max(growth.more_fds for growth in grown),
    }
    return setting.outcome(
        (*violations, *deaths), figures, beyond(figures, {"rss_mb_per_h": MOST_MB_PER_H, "more_fds": MOST_MORE_FDS})
    )


def _size(daemon: Daemon) -> Size:
    process = psutil.Process(daemon.pid)
    return Size(at_s=time.monotonic(), rss_mb=process.memory_info().rss / 2**20, fds=process.num_fds())


def _growth(before: Size, after: Size) -> Growth:
    hours = (after.at_s - before.at_s) / 3600
    return Growth(
        rss_mb=after.rss_mb,
        mb_per_h=(after.rss_mb - before.rss_mb) / hours,
        fds=after.fds,
        more_fds=after.fds - before.fds,
    )


@contextmanager
def _busy_cores() -> Generator[None]:
    """A process for each core that never waits, at the daemons' own priority."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
