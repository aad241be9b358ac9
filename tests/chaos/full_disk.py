"""Full disk: the disk of a job's home fills up while the job runs and is freed later; the job ends, with everything."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.chaos.cluster import ENDED, Cluster, peers
from tests.chaos.daemon import Daemon
from tests.chaos.namespaces import SmallDisk
from tests.chaos.outcome import NotInTime, Outcome, spread
from tests.chaos.setting import Setting

BEGUN_S = 60.0
NOTICED_S = 30.0
# What is tried again on a full disk is tried every 10 s.
RESUMED_S = 15.0
BALLAST_BYTES = 64 * 1024 * 1024  # what a daemon holds in reserve; here before the disk can be full
SAYS_WHY = "disk full at alone: free some space"


@dataclass(slots=True, kw_only=True)
class Waits:
    """Of the jobs that were under way: until they were paused, and from then until they went on."""

    paused_s: list[float] = field(default_factory=list[float])
    resumed_s: list[float] = field(default_factory=list[float])
    by_hand: int = 0  # that did not go on by themselves
    untold: int = 0  # that stood still, and nothing said why


async def run(setting: Setting) -> Outcome:
    """See the module. One node, so that nothing is on another disk either."""
    rng, waits = setting.rng, Waits()
    disk = SmallDisk(setting.folder / "alone")
    try:
        (setting.folder / "alone" / "ballast").write_bytes(bytes(BALLAST_BYTES))
        async with setting.cluster() as cluster:
            (daemon,) = peers(setting.folder, ["alone"])
            cluster.add(daemon)
            await cluster.agreed()
            for _ in range(setting.rounds):
                job_id = await cluster.submit(daemon)
                if job_id is None:
                    raise NotInTime("a node with room took no job")
                if await _state(daemon, job_id, BEGUN_S, ("pilot", "running")) not in ("pilot", "running"):
                    raise NotInTime(f"{job_id} did not begin within {BEGUN_S:.0f} s")
                await asyncio.sleep(rng.uniform(0, 4))
                await _fill(cluster, daemon, disk, job_id, waits, for_s=rng.uniform(1, 5))
            violations, figures = await cluster.judged()
    finally:
        disk.remove()
    figures |= spread("paused", waits.paused_s) | spread("resumed", waits.resumed_s)
    return setting.outcome(violations, figures | {"resumed_by_hand": waits.by_hand, "untold": waits.untold})


async def _fill(cluster: Cluster, daemon: Daemon, disk: SmallDisk, job_id: str, waits: Waits, *, for_s: float) -> None:
    """One time without room, until the job goes on or has ended."""
    disk.fill()
    at_s = time.monotonic()
    state = await _state(daemon, job_id, NOTICED_S, ("paused", *ENDED))
    noticed_s = time.monotonic() - at_s
    cluster.tell(f"  full: {job_id} {state} after {noticed_s:.1f} s")
    await asyncio.sleep(for_s)
    says_why = SAYS_WHY in (await daemon.ctl("show", job_id)).stdout
    disk.free()
    if state == "paused":
        at_s = time.monotonic()
        waits.by_hand += await _resumed(cluster, daemon, job_id)
        waits.paused_s.append(noticed_s)
        waits.resumed_s.append(time.monotonic() - at_s)
    elif state not in ENDED and not says_why:
        waits.untold += 1


async def _state(daemon: Daemon, job_id: str, within_s: float, wanted: tuple[str, ...]) -> str:
    """The first of these states that the job is in; the one that it is in after that time if it was in none."""
    deadline = time.monotonic() + within_s
    while True:
        state = str((await daemon.jobs()).get(job_id, {}).get("state", ""))
        if state in wanted or time.monotonic() > deadline:
            return state
        await asyncio.sleep(0.1)


async def _resumed(cluster: Cluster, daemon: Daemon, job_id: str) -> bool:
    """Whether a person had to say that the job shall go on, because it did not by itself."""
    if await _state(daemon, job_id, RESUMED_S, ("queued", "pilot", "running", *ENDED)) != "paused":
        return False
    done = await daemon.ctl("resume", job_id)
    cluster.tell(f"  resumed by hand: {(done.stdout + done.stderr).strip()}")
    return True
