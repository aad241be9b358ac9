"""All four workflows from the examples to their files, at the sizes their gates want: `make e2e`."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from tests.e2e.conftest import Cluster, Daemon, lines

Run = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLES = Path(__file__).parents[2] / "examples"
FIELDS = {
    "dpo": {"id", "prompt", "chosen", "rejected"},
    "sft": {"id", "messages"},
    "rlvr": {"id", "prompt", "answer", "answer_type", "pass_rate", "solution"},
    "antihallucination": {"id", "messages", "label"},
}
# Many questions make a calibration error certain, many samples of each only slow.
SETTINGS = {"antihallucination": ("--set", "samples=4")}

pytestmark = pytest.mark.long


@pytest.fixture
async def daemon(cluster: Cluster) -> Daemon:
    started = cluster.start("alone", "--no-discovery")
    await started.address()
    return started


async def submitted(
    realignctl: Run, daemon: Daemon, data_type: str, source: str, folder: Path, *more: str
) -> tuple[int, dict[str, Any], str]:
    """The exit code, summary.json and what was said of a job on an example."""
    done = await asyncio.to_thread(
        realignctl,
        *("submit", "Make training data", "--type", data_type, "--model", "pocket", "--yes"),
        *("--source", str(EXAMPLES / source), "--output", str(folder), *more),
        endpoint=await daemon.address(),
    )
    said = done.stdout + done.stderr
    assert (folder / "summary.json").is_file(), said
    return done.returncode, json.loads((folder / "summary.json").read_text()), said


def raw_text(source: Path, page: int) -> str:
    """The text that spans of a source count in."""
    if source.suffix == ".pdf":
        return pypdfium2.PdfDocument(source)[page - 1].get_textpage().get_text_range()
    if source.suffix == ".jsonl":
        record = json.loads(source.read_text("utf-8").splitlines()[page - 1])
        return "\n".join(record.values())
    return source.read_text("utf-8")


def plain(text: str) -> str:
    return "".join(text.replace("\ufffe", "").split())


def check_places(folder: Path, source: Path) -> None:
    """Every row's quotation stands at the page and characters that its provenance names."""
    ids = {row["id"] for name in ("train.jsonl", "valid.jsonl") for row in lines(folder / name)}
    provenance = lines(folder / "provenance.jsonl")
    assert {line["id"] for line in provenance} == ids
    for line in provenance:
        pages = {span["page"]: raw_text(source, span["page"]) for span in line["spans"]}
        stands = "".join(pages[span["page"]][span["start"] : span["end"]] for span in line["spans"])
        assert plain(stands) == plain(line["quote"])


@pytest.mark.parametrize(
    ("data_type", "source", "gate"),
    [
        ("dpo", "pocket_arithmetic.pdf", "preference_gap"),
        ("sft", "pocket_arithmetic.pdf", "quality_score"),
        ("rlvr", "pocket_problems.jsonl", "verifiability"),
        ("antihallucination", "pocket_names.md", "calibration_error"),
    ],
)
async def test_a_good_source_comes_through_all_seven_stages(
    daemon: Daemon, realignctl: Run, tmp_path: Path, *, data_type: str, source: str, gate: str
) -> None:
    folder = tmp_path / "out"
    code, summary, said = await submitted(realignctl, daemon, data_type, source, folder, *SETTINGS.get(data_type, ()))

    assert code == 0, said
    assert summary["workflow"]["stages_completed"] == 7
    (judged,) = [one for one in summary["gates"] if one["metric"] == gate]
    assert judged["tier"] == "HIGH", judged
    assert all(one["tier"] in ("HIGH", "MEDIUM") for one in summary["gates"]), summary["gates"]
    train = lines(folder / "train.jsonl")
    assert summary["output"]["examples"] == len(train) > 0
    assert {*train[0]} == FIELDS[data_type]
    check_places(folder, EXAMPLES / source)
    self_test = summary["self_test"]
    assert self_test["detected"] == self_test["planted"] > 0, self_test
    assert self_test["false_alarms"] == 0, self_test


@pytest.mark.parametrize(
    ("data_type", "source", "gate"),
    [
        ("dpo", "spoiled.pdf", "text_ratio"),
        ("sft", "sft_spoiled.jsonl", "quality_score"),
        ("rlvr", "spoiled_problems.jsonl", "verifiability"),
        ("antihallucination", "spoiled_names.jsonl", "auroc_after"),
    ],
)
async def test_a_spoiled_source_is_blocked_by_the_gate_that_is_there_for_it(
    daemon: Daemon, realignctl: Run, tmp_path: Path, *, data_type: str, source: str, gate: str
) -> None:
    settings = SETTINGS.get(data_type, ())
    code, summary, said = await submitted(realignctl, daemon, data_type, source, tmp_path / "out", *settings)

    assert code == 3, said
    rejected = [one["metric"] for one in summary["gates"] if one["tier"] == "REJECT"]
    assert rejected == [gate], summary["gates"]


@pytest.mark.parametrize(("data_type", "until"), [("dpo", "validate_gaps"), ("sft", "format_conversion")])
async def test_the_same_seed_gives_the_same_bytes_in_a_fresh_data_directory(
    cluster: Cluster, realignctl: Run, tmp_path: Path, *, data_type: str, until: str
) -> None:
    found: list[bytes] = []
    for name in ("one", "two"):
        daemon = cluster.start(name, "--no-discovery")
        folder = tmp_path / name
        code, _, said = await submitted(
            *(realignctl, daemon, data_type, "pocket_arithmetic.pdf", folder),
            *("--until", until, "--seed", "7", "--count", "40"),
        )
        assert code == 0, said
        found.append((folder / "train.jsonl").read_bytes())
        daemon.stop()
    assert found[0] == found[1]
    assert found[0]
