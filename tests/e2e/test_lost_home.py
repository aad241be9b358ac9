"""Two real daemons, of which the job's home is lost: the other one goes on, a person decides, and both agree after."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Cluster, Daemon, lines

from realign_proto.v1 import curation_pb2 as pb

Realignctl = Callable[..., subprocess.CompletedProcess[str]]
JOB_S = 120.0  # far above the 15 s that the slowest wait takes: a busy machine is no defect
DONE = "SELECT unit_key FROM executions WHERE outcome='done'"
SHARED = {
    "jobs": "SELECT * FROM jobs ORDER BY job_id",
    "decisions": "SELECT * FROM decisions ORDER BY job_id, instance",
    "results": "SELECT unit_key, result_hash FROM results ORDER BY unit_key, result_hash",
}


def rows(daemon: Daemon, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{daemon.data_dir / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


def ledger(daemon: Daemon) -> dict[str, list[tuple[Any, ...]]]:
    """What all nodes must hold alike."""
    return {table: rows(daemon, query) for table, query in SHARED.items()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(JOB_S):
        while not condition():
            await asyncio.sleep(0.2)


async def job_when(daemon: Daemon, job_id: str, condition: Callable[[pb.Job], bool]) -> pb.Job:
    async with asyncio.timeout(JOB_S), daemon.client() as client:
        while not condition(job := await client.job(job_id)):
            await asyncio.sleep(0.2)
        return job


@pytest.mark.long
async def test_a_job_whose_home_is_lost_ends_provisionally_then_for_good_and_its_home_agrees_when_it_is_back(
    cluster: Cluster, sums: Path, realignctl: Realignctl, tmp_path: Path
) -> None:
    left, right = cluster.start("left"), cluster.start("right")
    leader = await cluster.settled()
    home, survivor = (left, right) if leader == "left" else (right, left)

    async def told(*arguments: str) -> str:
        done = await asyncio.to_thread(realignctl, *arguments, endpoint=await survivor.address())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    wish = ("DPO pairs", "--source", str(sums), "--model", "pocket", "--count", "20", "--until", "validate_gaps")
    job_id = json.loads(await told("submit", *wish, "--yes", "--detach", "--json"))["job_id"]
    await job_when(home, job_id, lambda job: job.state == "running" and job.stages[0].units.done > 0)
    await until(lambda: bool(rows(survivor, "SELECT 1 FROM jobs JOIN records JOIN results")))

    home.kill()
    await job_when(survivor, job_id, lambda job: bool(job.ended_unix_s))
    shown = json.loads(await told("show", job_id, "--json"))
    assert (shown["state"], shown["decision"]) == ("completed", None)
    assert shown["provisional"].startswith(f"provisional: home {leader!r} unreachable since ")
    assert shown["provisional"].endswith(f"; `realignctl adopt {job_id}` makes it final")
    await told("fetch", job_id, "--output", str(tmp_path / "before"))
    before = lines(tmp_path / "before" / "train.jsonl")
    assert before

    await told("adopt", job_id)
    final = await job_when(survivor, job_id, lambda job: bool(job.decision_json and job.ended_unix_s))
    decision = json.loads(final.decision_json)
    assert (final.state, final.provisional) == ("completed", "")
    assert (decision["instance"], decision["end"]) == (1, "completed")
    await told("fetch", job_id, "--output", str(tmp_path / "after"))
    assert lines(tmp_path / "after" / "train.jsonl") == before

    home.start()
    await until(lambda: ledger(home) == ledger(survivor))
    assert [instance for (_, instance, *_) in ledger(home)["decisions"]] == [0, 1]
    back = await job_when(home, job_id, lambda job: job.decision_json == final.decision_json)
    assert (back.state, back.provisional) == ("completed", "")
    assert back.home == (await survivor.status()).node.name
    computed = {key for daemon in (home, survivor) for (key,) in rows(daemon, DONE)}
    assert computed == {key for (key, _) in ledger(home)["results"]}
