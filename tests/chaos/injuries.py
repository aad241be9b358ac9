"""Injuries: what befalls a group of nodes that hold a model together, drawn by chance and done to real processes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

import psutil
from tests.chaos.cluster import Cluster
from tests.chaos.daemon import Daemon

from realign_proto.v1 import facts_pb2

# A rank's process; the daemon with its children of a node that is neither head nor home, of the head, of the home.
What = Literal["rank", "member", "head", "home"]
How = Literal["killed", "stopped"]
Ranks = Mapping[str, facts_pb2.EngineState]  # of one group, by node

KINDS: tuple[tuple[What, How], ...] = (
    ("rank", "killed"),
    ("rank", "stopped"),
    ("member", "killed"),
    ("member", "stopped"),
    ("head", "killed"),
    ("head", "stopped"),
    ("home", "killed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injury:
    """What happens, how long after a group was seen, to which of those that it may hit (0..1), and for how long."""

    what: What
    how: How
    after_s: float
    pick: float
    away_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Injured:
    """What an injury did; times by the wall clock of the one machine."""

    node: str
    title: str
    parallelism: str
    in_group: bool
    at_unix_s: float
    back_unix_s: float


def injuries(rng: random.Random, count: int) -> tuple[Injury, ...]:
    """Each kind as often as the others. A kill is followed by a start at once or after a while."""
    kinds = rng.sample(KINDS, len(KINDS))
    return tuple(
        Injury(
            what=what,
            how=how,
            after_s=rng.uniform(0.5, 14),  # while it forms, or works
            pick=rng.random(),
            away_s=rng.uniform(8, 14) if how == "stopped" or rng.random() < 1 / 2 else rng.uniform(0.2, 3),
        )
        for what, how in islice(cycle(kinds), count)
    )


def victim(injury: Injury, group: Sequence[str], home: str) -> tuple[str, What]:
    """Which node it is, and as what. Where the head is the home another node of the group is hit, and the other way."""
    if injury.what == "rank":
        return group[int(injury.pick * len(group))], "rank"
    if injury.what == "home":
        return home, "home"
    others = [node for node in group[1:] if node != home]
    if (injury.what == "head" and group[0] != home) or not others:
        return group[0], "head"
    return others[int(injury.pick * len(others))], "member"


async def injure(cluster: Cluster, injury: Injury, ranks: Ranks, home: str) -> Injured:
    """Does it to their group, and returns when the daemon is there again."""
    group = next(iter(ranks.values())).group
    node, what = victim(injury, group.nodes, home)
    daemon = cluster.daemons[node]
    cluster.struck()
    at_unix_s = time.time()
    title = f"{what} {injury.how}"
    if what == "rank":
        _signal_rank(ranks[node].pid, injury.how)
        cluster.tell(f"  {title}: {node} of {', '.join(group.nodes)}")
    else:
        cluster.tell(f"  {title}: {node} of {', '.join(group.nodes)} for {injury.away_s:.1f} s")
        await _take_away(cluster, daemon, injury)
    return Injured(
        node=node,
        title=title,
        parallelism=group.parallelism,
        in_group=node in group.nodes,
        at_unix_s=at_unix_s,
        back_unix_s=time.time(),
    )


def _signal_rank(pid: int, how: How) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.kill() if how == "killed" else process.suspend()


async def _take_away(cluster: Cluster, daemon: Daemon, injury: Injury) -> None:
    """The whole node, as a power cut or a closed lid takes it."""
    if not daemon.is_up:
        return
    everything = [psutil.Process(daemon.pid), *psutil.Process(daemon.pid).children(recursive=True)]
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    if injury.how == "killed":
        for process in everything[1:]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        cluster.kill(daemon)
        await asyncio.sleep(injury.away_s)
        daemon.start()
        return
    await asyncio.sleep(injury.away_s)
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.resume()
