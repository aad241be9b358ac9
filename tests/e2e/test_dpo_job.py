"""A DPO job on real daemons, the real pocket model and the real client."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import Cluster, Daemon, lines

from realign_client.sources import collect
from realign_proto.v1 import curation_pb2 as pb

Run = Callable[..., subprocess.CompletedProcess[str]]
REPOSITORY = Path(__file__).parents[2]
# A short training and few pairs: what is tested is that the job comes to its end, not how good the model gets.
SHORT = {"steps": "15", "learning_rate": "0.0003"}
JOB_S = 240.0


def request(**changes: object) -> pb.JobRequest:
    values: dict[str, object] = {
        "text": "Curate DPO preference pairs",
        "model": "pocket",
        "settings": SHORT,
        "assume_yes": True,
    }
    return pb.JobRequest(**{**values, **changes})  # pyright: ignore[reportArgumentType] - fields by name


async def submitted(daemon: Daemon, source: Path, **changes: object) -> str:
    async with daemon.client() as client:
        return (await client.submit(request(**changes), collect([str(source)]))).job_id


async def job_when(daemon: Daemon, job_id: str, condition: Callable[[pb.Job], bool]) -> pb.Job:
    async with asyncio.timeout(JOB_S), daemon.client() as client:
        while not condition(job := await client.job(job_id)):
            await asyncio.sleep(0.2)
        return job


def has_ended(job: pb.Job) -> bool:
    return job.state not in ("queued", "pilot", "running")


def executions(daemon: Daemon) -> list[str]:
    """The keys of the units that this node computed to an end, one entry each time."""
    with sqlite3.connect(f"file:{daemon.data_dir / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT unit_key FROM executions WHERE outcome='done'")]


async def test_a_job_submitted_to_the_node_that_does_not_lead_is_shared_and_comes_back_whole(
    cluster: Cluster, sums: Path, realignctl: Run, tmp_path: Path
) -> None:
    left, right = cluster.start("left"), cluster.start("right")
    third = cluster.start("third", "--no-discovery", "--peer", await left.address())
    leader = await cluster.settled()
    other = left if leader != "left" else right
    folder = tmp_path / "out"

    done = await asyncio.to_thread(
        realignctl,
        *("submit", "Curate DPO preference pairs", "--model", "pocket", "--source", str(sums), "--output", str(folder)),
        *("--yes", "--set", "steps=15", "--set", "learning_rate=0.0003"),
        endpoint=await other.address(),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    async with third.client() as client:
        (job,) = await client.jobs()
    assert job.state == "completed"
    assert job.home == leader
    computed = [key for daemon in cluster.daemons.values() for key in executions(daemon)]
    assert sum(node.units for node in job.nodes) == len(computed) == len(set(computed))
    assert len(job.nodes) > 1
    train, valid = lines(folder / "train.jsonl"), lines(folder / "valid.jsonl")
    assert train
    assert valid
    for row in (*train, *valid):
        assert list(row) == ["id", "prompt", "chosen", "rejected"]
        assert row["chosen"] != row["rejected"]
    ids = [row["id"] for row in (*train, *valid)]
    assert len(set(ids)) == len(ids)
    assert [line["id"] for line in lines(folder / "provenance.jsonl")] == sorted(str(name) for name in ids)
    text = "".join(sums.open())
    rows = {row["id"]: row for row in (*train, *valid)}
    for line in lines(folder / "provenance.jsonl"):
        (span,) = line["spans"]
        first, second = rows[line["id"]]["prompt"].rstrip("=").split("+")
        assert first in text[span["start"] : span["end"]]
        assert second in text[span["start"] : span["end"]]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["workflow"]["stages_completed"] == 7
    assert summary["output"]["examples"] == len(train)
    assert summary["output"]["path"] == str(folder / "train.jsonl")
    assert summary["plan"]["actual"]["makespan_s"] > 0
    assert (folder / "adapter" / "adapters.safetensors").stat().st_size > 0


async def test_a_job_survives_kill_9_of_its_home_and_computes_nothing_twice(cluster: Cluster, sums: Path) -> None:
    home = cluster.start("alone", "--no-discovery")
    await cluster.settled()
    job_id = await submitted(home, sums, until="score_pairs")
    await job_when(home, job_id, lambda job: job.stages[1].units.done > 50)
    before = executions(home)

    home.kill()
    home.start()
    job = await job_when(home, job_id, has_ended)

    assert job.state == "completed"
    after = executions(home)
    assert len(set(after)) == len(after)
    assert set(before) <= set(after)
    assert sum(node.units for node in job.nodes) == len(after)


@pytest.mark.long
async def test_a_job_goes_on_without_a_node_that_is_killed_and_takes_it_back(cluster: Cluster, sums: Path) -> None:
    for name in ("left", "right"):
        cluster.start(name)
    leader = await cluster.settled()
    home = cluster.daemons[leader]
    (worker,) = (daemon for name, daemon in cluster.daemons.items() if name != leader)
    job_id = await submitted(home, sums, until="score_pairs")
    await job_when(home, job_id, lambda job: len(job.nodes) == 2)

    worker.kill()
    worker.start()
    job = await job_when(home, job_id, has_ended)

    assert job.state == "completed"
    assert [stage.state for stage in job.stages] == ["done"] * 3 + ["skipped"] * 4
    both = [*executions(home), *executions(worker)]
    # Only what the killed node had computed and not yet handed over can be there twice.
    assert len(both) - len(set(both)) <= 64


async def test_a_job_is_paused_resumed_and_cancelled(cluster: Cluster, sums: Path) -> None:
    daemon = cluster.start("alone", "--no-discovery")
    await cluster.settled()
    job_id = await submitted(daemon, sums)
    async with daemon.client() as client:
        await job_when(daemon, job_id, lambda job: job.stages[1].units.done > 20)
        assert (await client.pause(job_id)).state == "paused"
        before = len(executions(daemon))
        assert (await client.job(job_id)).state == "paused"
        assert (await client.resume(job_id)).state in ("queued", "running")
        await job_when(daemon, job_id, lambda job: job.stages[2].units.done > 20)
        assert (await client.cancel(job_id)).state == "cancelled"
        assert (await client.job(job_id)).state == "cancelled"
        assert len(executions(daemon)) > before
        daemon.kill()
        daemon.start()
    async with daemon.client() as client:
        assert (await client.job(job_id)).state == "cancelled"


async def test_a_spoiled_source_is_blocked_with_a_remedy_and_still_exported(cluster: Cluster, realignctl: Run) -> None:
    daemon = cluster.start("alone", "--no-discovery")
    await cluster.settled()
    source = REPOSITORY / "examples" / "spoiled.pdf"

    done = await asyncio.to_thread(
        realignctl,
        *("submit", "Curate DPO preference pairs", "--model", "pocket", "--source", str(source)),
        *("--yes", "--watch", "--set", "steps=5"),
        endpoint=await daemon.address(),
    )

    assert done.returncode == 3, done.stdout + done.stderr
    assert "text_ratio" in done.stdout + done.stderr
    async with daemon.client() as client:
        (job,) = await client.jobs()
    assert job.state == "blocked"
    assert "text recognition" in job.error
    assert (Path(job.output) / "summary.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--source", "missing.pdf"), 2, "missing.pdf"),
        (("--source", "empty.pdf"), 2, "empty.pdf"),
        (("--source", "junk.pdf"), 2, "junk.pdf"),
        (("--source", "picture.png"), 2, "picture.png"),
        (("--source", "good.md", "--count", "0"), 2, "--count"),
        (("--source", "good.md", "--model", "Gondolin 9"), 2, "Gondolin 9"),
        (("--source", "good.md", "--until", "lunch"), 2, "lunch"),
        (("--source", "good.md", "--model", "Qwen 7B"), 1, "Qwen/Qwen2.5-7B-Instruct"),
    ],
)
async def test_bad_input_gets_one_sentence_and_its_exit_code(
    daemon: Daemon, realignctl: Run, tmp_path: Path, *, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "empty.pdf").touch()
    (tmp_path / "junk.pdf").write_bytes(b"this is no portable document")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "good.md").write_text("# One\n\n12+34 makes 46.\n")
    model = () if "--model" in arguments else ("--model", "pocket")

    done = await asyncio.to_thread(
        realignctl, "submit", "Curate DPO preference pairs", *model, *arguments, endpoint=await daemon.address()
    )

    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert (await daemon.status()).node.name == "alone"


@pytest.fixture
async def daemon(cluster: Cluster) -> Daemon:
    started = cluster.start("alone", "--no-discovery")
    await started.address()
    return started
