"""Status, plan and help: one document each, without what is not needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realign_client.cli import run
from realign_client.testing import PLAN, WAIT_S, ScriptedDaemon, serving
from realign_proto.v1 import status_pb2

REQUEST = "Curate DPO preference pairs"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon()
    with serving(scripted) as address:
        monkeypatch.setenv("REALIGN_ENDPOINT", address)
        yield scripted


@pytest.mark.parametrize("arguments", [["status", "--json"], ["status", "--json", "--endpoint"], ["nodes", "--json"]])
def test_status_and_nodes_print_one_document(
    daemon: ScriptedDaemon, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[-1] == "--endpoint":
        arguments = [*arguments, os.environ["REALIGN_ENDPOINT"]]
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert [member["name"] for member in document.get("members") or document["nodes"]] == ["left"]


def test_bench_reports_on_stderr_and_prints_the_figures(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "--model", "pocket", "--force", "--json"]) == 0
    assert daemon.told == [status_pb2.BenchRequest(model="pocket", force=True)]
    shown = capsys.readouterr()
    assert (json.loads(shown.out)["benchmark"]["gflops"], shown.err) == ({"float32": 67.0}, "float32\n")


def test_status_starts_without_what_it_does_not_need(daemon: ScriptedDaemon) -> None:
    script = (
        "import sys\nfrom realign_client.cli import run\ncode = run(['status'])\n"
        "print([name for name in ('typer', 'pydantic', 'rich', 'zeroconf', 'structlog', 'realign_daemon', 'mlx') "
        "if name in sys.modules])\nsys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=WAIT_S, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_plan_prints_the_clusters_document_and_exits_1_when_nothing_fits(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", REQUEST, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == PLAN
    daemon.plan = {**PLAN, "strategy": None, "nodes": [], "needs": {"bytes": 10**12}}
    assert run(["plan", REQUEST]) == 1
    assert "1 TB" in capsys.readouterr().out


def test_plan_for_a_cluster_file_needs_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text('[[node]]\nname = "one"\nmemory_gb = 128\ngpu_cores = 40\ngflops = 12956\npeak_batch_size = 32\n')
    assert run(["plan", f"{REQUEST} from missing.pdf for Qwen 7B", "--cluster", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {
        *("data_type", "skill", "confidence", "alternatives_type", "model", "models", "strategy", "nodes", "standby"),
        *("backend", "predicted", "reasons", "alternatives", "warnings"),
    }
    assert [node["name"] for node in document["nodes"]] == ["one"]
    assert run(["plan", "SFT data with Llama 405B", "--bits", "16", "--cluster", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["strategy"] is None
    assert run(["plan", REQUEST, "--nodes", "nobody", "--cluster", str(file)]) == 2


def test_plan_reads_the_config_of_a_model_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster, model = tmp_path / "cluster.toml", tmp_path / "mine"
    cluster.write_text('[[node]]\nname = "one"\nmemory_gb = 128\n')
    model.mkdir()
    config = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
    config |= {"intermediate_size": 11008, "vocab_size": 32000, "torch_dtype": "float16"}
    (model / "config.json").write_text(json.dumps(config))
    assert run(["plan", REQUEST, "--model", str(model), "--cluster", str(cluster), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["params_b"] == pytest.approx(6.7, abs=0.2)


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], ["watch", "--help"]])
def test_help_documents_the_exit_codes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "0 done",
        "1 the job failed",
        "2 wrong usage",
        "3 a quality gate",
        "4 no cluster",
        "5 the request",
        "130",
    ):
        assert part in text
