"""A model that no node has comes from the hub to one node and from there to another, and jobs run on it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import Cluster, Daemon
from tests.e2e.test_dpo_job import has_ended, job_when, submitted
from tests.model_hub import COMMIT, Repository, model_hub

from realign_daemon.engine.models import POCKET_FOLDER
from realign_proto.v1 import models_pb2

SHORT = {"max_tokens": "16"}
NAME = "acme/pocket-3M"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def few(sums: Path, tmp_path: Path) -> Path:
    """A source that a pilot is soon done with."""
    path = tmp_path / "few.md"
    path.write_text(sums.read_text()[:400])
    return path


@pytest.mark.long
async def test_a_model_is_fetched_once_for_a_job_copied_for_another_and_not_removed_under_it(
    cluster: Cluster, few: Path, realignctl: Run, tmp_path: Path
) -> None:
    files = {file.name: file.read_bytes() for file in POCKET_FOLDER.iterdir() if file.is_file()}
    files["config.json"] = files["config.json"].replace(b"{", b'{"is_another": true,', 1)
    with model_hub({NAME: Repository(files)}) as hub:
        settings = {**hub.environment(), "HF_HOME": str(tmp_path), "REALIGN_BENCHMARK__BUDGET_S": "1", "no_proxy": "*"}
        for name in ("left", "right"):
            cluster.start(name, **settings)
        home = await cluster.settled()
        (other,) = cluster.daemons.keys() - {home}
        daemon = cluster.daemons[home]

        for seed, node in enumerate((other, home)):  # one gets it from the hub, then the home from that one
            job_id = await submitted(
                daemon,
                few,
                model=NAME,
                nodes=[node],
                data_type="sft",
                settings=SHORT,
                seed=seed,
                pilot="only",
                until="data_prep",
            )
            job = await job_when(daemon, job_id, has_ended)
            assert (job.paused_by, [one.name for one in job.nodes]) == ("pilot", [node]), job
            pins = json.loads(job.spec_json)["roles"]
            assert {(pin["name"], pin["revision"]) for pin in pins.values()} == {(NAME, COMMIT)}

        downloads = [asked for asked in hub.asked if "safetensors" in asked and asked.endswith(" 0-")]
        assert len(downloads) == 2, "one, and where it is redirected to"
    found = [one for one in (await listed(daemon)) if one.name == NAME]
    assert [(one.node, one.revision, one.removable, len(one.used_by)) for one in found] == [
        ("left", COMMIT, True, 2),
        ("right", COMMIT, True, 2),
    ]
    assert len({one.sha256 for one in found}) == 1
    remove = ("models", "rm", NAME, "--node", other, "--yes")
    refused = await asyncio.to_thread(realignctl, *remove, endpoint=await daemon.address())
    assert (refused.returncode, "is needed by sft-" in refused.stderr) == (2, True), refused.stderr
    async with daemon.client() as client:
        for job in await client.jobs():
            await client.cancel(job.id)
    gone = await asyncio.to_thread(realignctl, *remove, endpoint=await daemon.address())
    assert gone.returncode == 0, gone.stderr
    assert [one.node for one in await listed(daemon) if one.name == NAME] == [home]


async def listed(daemon: Daemon) -> list[models_pb2.ModelOnNode]:
    async with daemon.client() as client:
        return list((await client.models()).models)
