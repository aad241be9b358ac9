"""Groups: nodes hold a model together that none may hold alone, and are hit while a job runs over it.

The job must end, with the rows that a node makes which holds the model alone, and with no unit kept twice.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from tests import deep_model
from tests.chaos.cluster import ENDED, ENDED_S, POLL_S, Cluster, peers
from tests.chaos.daemon import Daemon
from tests.chaos.injuries import Injured, Injury, Ranks, injure, injuries
from tests.chaos.outcome import NotInTime, Outcome
from tests.chaos.recovery import Recovery, Round
from tests.chaos.rows import Rows, read_rows
from tests.chaos.setting import Setting

LED_S = 30.0
REFERENCE = "reference"
PER_ROUND = 2  # injuries
# Nothing is trained, so that all of it, some 650 units, is work for the group.
WISH = ("--model", deep_model.NAME, "--type", "sft", "--until", "format_conversion", "--count", "60")
# What models may take of each node, in GB. Equal nodes share the deep model tensor by tensor, unequal ones as a
# pipeline; a third node may take a lost one's place, but for that of a larger one, and but for the last two layouts.
LAYOUTS: tuple[tuple[float, ...], ...] = (
    (0.015, 0.015),
    (0.016, 0.010),
    (0.015, 0.015, 0.015),
    (0.016, 0.010, 0.010),
    (0.012, 0.008, 0.006),
    (0.010, 0.010, 0.010),
)


async def run(setting: Setting) -> Outcome:
    """See the module. Each round is a cluster and a job of its own."""
    recovery = Recovery(await reference(setting), setting.tell)
    rng = setting.rng
    layouts = [layout for layout in LAYOUTS if len(layout) <= setting.nodes]
    drawn = injuries(rng, setting.rounds * PER_ROUND)
    for number in range(setting.rounds):
        layout = layouts[number % len(layouts)]
        memory = dict(zip(setting.names, layout, strict=False))
        setting.tell(f"  round {number}: {layout} GB")
        async with _cluster(setting, f"round-{number}", memory) as cluster:
            home = rng.choice(list(memory))
            await _lead(cluster, home)
            job_id = await submitted(cluster, home)
            injured = await _hit(cluster, drawn[number * PER_ROUND :][:PER_ROUND], home, job_id)
            violations, _ = await cluster.judged()
        one = Round(name=f"round {number}", cluster=cluster, memory=memory, injured=injured)
        recovery.add(one, violations)
    figures, late = recovery.figures()
    return setting.outcome(recovery.violations, figures, late)


async def reference(setting: Setting) -> Rows:
    """What one node makes that may hold the model alone, which lies in the setting's folder from then on."""
    deep_model.deepen(setting.folder / "models" / deep_model.NAME)
    async with _cluster(setting, REFERENCE, {"alone": 1.0}) as cluster:
        await cluster.agreed()
        await submitted(cluster, "alone")
        violations, _ = await cluster.judged()
    if violations:
        raise NotInTime(f"a node by itself did not do the job: {'; '.join(violations)}")
    (folder,) = (cluster.folder / "alone" / "curated").iterdir()
    rows = read_rows(folder)
    setting.tell(f"  a node by itself makes {rows.count} rows")
    return rows


@asynccontextmanager
async def _cluster(setting: Setting, name: str, memory: Mapping[str, float]) -> AsyncGenerator[Cluster]:
    """The daemons run, on loopback."""
    async with empty(setting, name) as cluster:
        for daemon in peers(cluster.folder, memory, lambda node: settings(setting, memory[node])):
            remember(setting, daemon)
            cluster.add(daemon)
        yield cluster


@asynccontextmanager
async def empty(setting: Setting, name: str) -> AsyncGenerator[Cluster]:
    """One round's, without daemons yet. All are given the same documents."""
    folder = setting.folder / name
    folder.mkdir()
    cluster = Cluster(folder, setting.rng, setting.tell, sums=setting.sums)
    try:
        yield cluster
    finally:
        await cluster.stop()


def settings(setting: Setting, memory_gb: float) -> dict[str, str]:
    """The environment of a node that may hold so much."""
    models = {"REALIGN_MODELS__DIRS": str(setting.folder / "models")}
    return {**models, "REALIGN_ENGINE__MODEL_MEMORY_GB": str(memory_gb)}


def remember(setting: Setting, daemon: Daemon) -> None:
    """Every round's daemons begin with nothing but what the first one measured."""
    daemon.folder.mkdir()
    measured = setting.folder / REFERENCE / "alone" / "benchmark.json"
    if measured.exists():
        shutil.copy(measured, daemon.folder)


async def _lead(cluster: Cluster, node: str) -> None:
    """Returns once the node leads: the jobs that come then are homed there. Raises NotInTime."""
    deadline = time.monotonic() + LED_S
    while await cluster.agreed() != node:
        if time.monotonic() > deadline:
            raise NotInTime(f"{node} does not lead after {LED_S:.0f} s")
        await cluster.daemons[node].ctl("cluster", "transfer", node)
        await asyncio.sleep(1)


async def submitted(cluster: Cluster, node: str) -> str:
    job_id = await cluster.submit(cluster.daemons[node], WISH)
    if job_id is None:
        raise NotInTime(f"{node} took no job")
    return job_id


async def _hit(cluster: Cluster, hits: Sequence[Injury], home: str, job_id: str) -> list[Injured]:
    """Each one a while after a new group was seen; no more once the job has ended."""
    injured: list[Injured] = []
    seen = ""
    for injury in hits:
        if await group_of(cluster, job_id, other_than=seen):
            await asyncio.sleep(injury.after_s)
        ranks = await group_of(cluster, job_id, other_than=seen)
        if not ranks:
            break
        injured.append(await injure(cluster, injury, ranks, home))
        seen = next(iter(ranks.values())).group.id if injured[-1].in_group else ""
    return injured


async def group_of(cluster: Cluster, job_id: str, *, other_than: str) -> Ranks:
    """Those of a group that is another one, once all are there; none when the job has ended. Raises NotInTime."""
    deadline = time.monotonic() + ENDED_S
    while time.monotonic() < deadline:
        engines = {name: status.engine for name, status in (await cluster.statuses()).items() if status.engine.pid}
        for one in engines.values():
            ranks = {name: other for name, other in engines.items() if other.group.id == one.group.id}
            if one.group.id not in ("", other_than) and len(ranks) == one.group.size:
                return ranks
        said = await asyncio.gather(*(daemon.jobs() for daemon in cluster.daemons.values()))
        if any(jobs.get(job_id, {}).get("state") in ENDED for jobs in said):
            return {}
        await asyncio.sleep(POLL_S)
    raise NotInTime(f"there was no group, and no end of {job_id}, within {ENDED_S:.0f} s")
