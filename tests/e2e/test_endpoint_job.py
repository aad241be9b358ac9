"""A job whose models are behind a server that is not ours: a real mlx_lm.server, a real daemon, the real client."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import Cluster, lines
from tests.mlx_server import mlx_server

Run = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "pocket_arithmetic.pdf"
SOURCE = "# Sums\n\nWhoever has 13 and finds 79 holds 92. Add 27 to 48 and you get 75. The sum of 36 and 21 is 57.\n"


@pytest.mark.long
async def test_a_job_is_written_and_judged_at_a_url_and_never_trained_there(
    cluster: Cluster, realignctl: Run, tmp_path: Path
) -> None:
    source, folder = tmp_path / "sums.md", tmp_path / "out"
    source.write_text(SOURCE)
    daemon = cluster.start("alone", "--no-discovery", REALIGN_BENCHMARK__BUDGET_S="2")
    with mlx_server(tmp_path) as url:
        await cluster.settled()

        at_engine = ("--source", str(source), "--engine", url, "--engine-templates", "pocket", "--yes")

        trained_there = await asyncio.to_thread(
            realignctl,
            *("submit", "Curate SFT data", "--target", f"default_model@{url.removeprefix('http://')}", *at_engine),
            endpoint=await daemon.address(),
        )
        done = await asyncio.to_thread(
            realignctl,
            *("submit", "Curate SFT data", "--target", "pocket", *at_engine),
            *("--until", "quality_filter", "--output", str(folder)),
            endpoint=await daemon.address(),
        )

    assert trained_there.returncode == 1, trained_there.stdout + trained_there.stderr
    assert "trained, scored and rendered by its weights" in trained_there.stderr
    assert len(trained_there.stderr.strip().splitlines()) == 1
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unverified" in done.stderr
    rows = lines(folder / "provenance.jsonl")
    assert rows
    for row in rows:
        for maker in (row["asked_by"], *row["judge"]["models"]):
            assert (maker["endpoint"], maker["weights"], maker["model_sha256"]) == (url, "unverified", None)
    async with daemon.client() as client:
        (job,) = await client.jobs()
        whole = await client.job(job.id)
    (generator,) = [one for one in json.loads(whole.plan_json)["models"] if one["role"] == "generator"]
    assert (generator["endpoint"], generator["bytes"], generator["on_nodes"]) == (url, 0, ["alone"])
    reasons = " ".join(json.loads(whole.plan_json)["reasons"])
    assert f"Engine {url}, asked from alone: measured " in reasons


@pytest.mark.long
async def test_the_pairs_of_the_example_are_written_and_judged_at_a_url_and_trained_on_here(
    cluster: Cluster, realignctl: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    daemon = cluster.start("alone", "--no-discovery", REALIGN_BENCHMARK__BUDGET_S="2")
    with mlx_server(tmp_path) as url:
        await cluster.settled()
        done = await asyncio.to_thread(
            realignctl,
            *("submit", "Curate DPO preference pairs", "--source", str(EXAMPLE), "--target", "pocket"),
            *("--engine", url, "--engine-templates", "pocket", "--yes", "--output", str(folder)),
            endpoint=await daemon.address(),
        )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [*lines(folder / "train.jsonl"), *lines(folder / "valid.jsonl")]
    assert rows
    assert all(row["chosen"] != row["rejected"] for row in rows)
    provenance = lines(folder / "provenance.jsonl")
    assert {line["id"] for line in provenance} == {row["id"] for row in rows}
    assert {model["endpoint"] for line in provenance for model in line["judge"]["models"]} == {url}
    assert (folder / "adapter" / "adapters.safetensors").stat().st_size > 0
