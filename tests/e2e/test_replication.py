"""Real daemons: what one has promised the other knows, and a daemon whose disk fails promises nothing more."""

from __future__ import annotations

import asyncio
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import Cluster

Realignctl = Callable[..., subprocess.CompletedProcess[str]]

END_S = 20.0
LIMIT_BYTES = 128 * 1024


async def test_a_job_is_seen_at_the_other_node_when_its_home_is_gone(
    cluster: Cluster, sums: Path, realignctl: Realignctl
) -> None:
    left, right = cluster.start("left"), cluster.start("right")
    leader = await cluster.settled()
    home, other = (left, right) if leader == "left" else (right, left)
    arguments = ("submit", "DPO pairs", "--source", str(sums), "--type", "dpo", "--model", "pocket", "--pilot-only")
    told = await asyncio.to_thread(realignctl, *arguments, "--yes", "--json", endpoint=await other.address())
    assert (told.returncode, "only so far" in told.stderr) == (0, False), told.stderr
    await other.until(lambda status: status.ledger.rows > 0 and status.ledger.under_replicated == 0)
    home.kill()
    await other.until(lambda status: all(member.state != "alive" for member in status.members[1:]))
    shown = await asyncio.to_thread(realignctl, "jobs", endpoint=await other.address())
    assert leader in shown.stdout
    (job_id,) = [word for word in shown.stdout.split() if word.startswith("dpo-")]
    shown = await asyncio.to_thread(realignctl, "show", job_id, endpoint=await other.address())
    assert f"its home {leader} cannot be reached" in shown.stdout


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets a disk fail for one process")
async def test_a_daemon_whose_disk_fails_ends_with_one_sentence(
    cluster: Cluster, sums: Path, realignctl: Realignctl
) -> None:
    daemon = cluster.start("left", "--no-discovery")
    await cluster.settled()
    assert daemon.process is not None
    arguments = ("submit", "DPO pairs", "--source", str(sums), "--type", "dpo", "--model", "pocket", "--pilot-only")
    before = await asyncio.to_thread(realignctl, *arguments, "--yes", endpoint=await daemon.address())
    assert before.returncode == 0, before.stderr
    # The children run, and have no part in this. The database's log is longer than that.
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    done = await asyncio.to_thread(realignctl, *arguments, "--yes", "--seed", "1", endpoint=await daemon.address())
    assert done.returncode
    assert await asyncio.to_thread(daemon.process.wait, END_S) == 1
    said = (daemon.data_dir / "said").read_text().splitlines()
    assert [line for line in said if "can't be read or written" in line] == said[-1:]
    assert said[-1].startswith(f"realignd: {daemon.data_dir}/ledger.sqlite ")
