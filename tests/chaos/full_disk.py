"""Full disk: the disk of a job's home fills up while the job runs and is freed later; the job ends, with everything.

What a person does to make room works meanwhile; what is written for it, the audit apart, fits into the node's reserve.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.chaos.cluster import ENDED, ENDED_S, Cluster, peers
from tests.chaos.daemon import Daemon
from tests.chaos.namespaces import SmallDisk
from tests.chaos.outcome import NotInTime, Outcome, spread
from tests.chaos.setting import Setting

BEGUN_S = 60.0
NOTICED_S = 30.0
# What is tried again on a full disk is tried every 10 s.
RESUMED_S = 15.0
BALLAST_BYTES = 64 * 1024 * 1024  # what a daemon holds in reserve; here before the disk can be full
SAYS_WHY = ("disk full at alone: free some space", "its disk has only 0.0 GB left")
GIVEAWAYS = ("internal error", "Unexpected", "<class", "Error:", "Traceback")


@dataclass(slots=True, kw_only=True)
class Waits:
    """Of the jobs that were under way: until they were paused, and from then until they went on."""

    paused_s: list[float] = field(default_factory=list[float])
    resumed_s: list[float] = field(default_factory=list[float])
    by_hand: int = 0  # that did not go on by themselves
    untold: int = 0  # that stood still, and nothing said why
    broken: list[str] = field(default_factory=list[str])  # what commands said that they must not


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
            ended = await _submitted(cluster, daemon)
            if await _state(daemon, ended, ENDED_S, ENDED) not in ENDED:
                raise NotInTime(f"{ended} did not end within {ENDED_S:.0f} s")
            await _tidy(cluster, daemon, disk, ended, waits)
            for _ in range(setting.rounds):
                job_id = await _submitted(cluster, daemon)
                if await _state(daemon, job_id, BEGUN_S, ("pilot", "running")) not in ("pilot", "running"):
                    raise NotInTime(f"{job_id} did not begin within {BEGUN_S:.0f} s")
                await asyncio.sleep(rng.uniform(0, 4))
                await _fill(cluster, daemon, disk, job_id, waits, ended=ended, for_s=rng.uniform(1, 5))
            violations, figures = await cluster.judged()
    finally:
        disk.remove()
    figures |= spread("paused", waits.paused_s) | spread("resumed", waits.resumed_s)
    return setting.outcome(
        (*violations, *waits.broken), figures | {"resumed_by_hand": waits.by_hand, "untold": waits.untold}
    )


async def _submitted(cluster: Cluster, daemon: Daemon) -> str:
    job_id = await cluster.submit(daemon)
    if job_id is None:
        raise NotInTime("a node with room took no job")
    return job_id


async def _tidy(cluster: Cluster, daemon: Daemon, disk: SmallDisk, ended: str, waits: Waits) -> None:
    """A full disk whose node has its reserve: whatever a person does to make room works."""
    other = await _submitted(cluster, daemon)
    disk.fill()
    for command in (("fetch", ended), ("cancel", other), ("rm", other, "--yes")):
        await _told(cluster, daemon, *command, waits=waits)
    disk.free()


async def _fill(
    cluster: Cluster, daemon: Daemon, disk: SmallDisk, job_id: str, waits: Waits, *, ended: str, for_s: float
) -> None:
    """One time without room, nor a reserve, until the job goes on or has ended."""
    (daemon.folder / "ballast").unlink(missing_ok=True)
    disk.fill()
    at_s = time.monotonic()
    state = await _state(daemon, job_id, NOTICED_S, ("paused", *ENDED))
    noticed_s = time.monotonic() - at_s
    cluster.tell(f"  full: {job_id} {state} after {noticed_s:.1f} s")
    for command in ("fetch", "cancel"):  # of a job that has ended: they write nothing there but the audit
        await _told(cluster, daemon, command, ended, waits=waits)
    await asyncio.sleep(for_s)
    shown = (await daemon.ctl("show", job_id)).stdout
    says_why = any(reason in shown for reason in SAYS_WHY)
    disk.free()
    if state == "paused":
        at_s = time.monotonic()
        waits.by_hand += await _resumed(cluster, daemon, job_id)
        waits.paused_s.append(noticed_s)
        waits.resumed_s.append(time.monotonic() - at_s)
    elif state not in ENDED and not says_why:
        waits.untold += 1


async def _told(cluster: Cluster, daemon: Daemon, *command: str, waits: Waits) -> None:
    """Runs the command; notes that it failed, or what it must not say. A job that it removed is not waited for."""
    name, job_id, *_ = command
    into = ("--output", str(cluster.folder / "fetched")) if name == "fetch" else ()
    done = await daemon.ctl(*command, *into)
    said = f"{name} on a full disk ended with {done.code}: {(done.stderr or done.stdout).strip()}"
    cluster.tell(f"  {said.splitlines()[0]}")
    if done.code or any(word in said for word in GIVEAWAYS):
        waits.broken.append(said)
    if name == "rm" and not done.code:
        cluster.acknowledged.remove(job_id)


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
