"""`rm` and `gc` against a scripted daemon: what is shown, asked and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from realign_client import deliveries
from realign_client.cli import run
from realign_client.testing import ScriptedDaemon, serving
from realign_proto.v1 import housekeeping_pb2 as pb


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon()
    monkeypatch.setenv("REALIGN_DATA_DIR", str(tmp_path / "data"))
    with serving(scripted) as address:
        monkeypatch.setenv("REALIGN_ENDPOINT", address)
        yield scripted


def test_rm_lists_what_goes_before_it_goes_and_forgets_where_it_was_to_be_delivered(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    deliveries.promise("dpo-1", tmp_path / "out")
    assert run(["rm", "dpo", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "train.jsonl          1.5 MB" in out
    assert "2 files, 1.5 MB in /there" in out
    assert out.endswith("job dpo-1 is removed, with 2 files of 1.5 MB\n")
    assert (daemon.called, deliveries.pending()) == (["RemoveJob"], {})


def test_rm_json_prints_one_document_and_nothing_else(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rm", "dpo-1", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"job_id": "dpo-1", "files": 2, "bytes": 1_500_002}


def test_rm_removes_nothing_where_nobody_can_be_asked(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rm", "dpo-1"]) == 2
    captured = capsys.readouterr()
    assert "train.jsonl" in captured.out
    assert "nobody can be asked; look at what goes and add --yes" in captured.err
    assert daemon.called == []


@pytest.mark.parametrize("state", ["running", "queued", "paused", "pilot"])
def test_rm_of_a_job_that_has_not_ended_says_to_cancel_it_first(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    daemon.job.state = state
    assert run(["rm", "dpo-1", "--yes"]) == 2
    assert f"job dpo-1 is {state}; end it first with `realignctl cancel dpo-1`" in capsys.readouterr().err
    assert daemon.called == []


def test_a_refusal_of_the_home_comes_with_its_exit_code(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.refusal = (grpc.StatusCode.PERMISSION_DENIED, "the job was submitted by somebody else", "4")
    assert run(["rm", "dpo-1", "--yes"]) == 4
    assert "submitted by somebody else" in capsys.readouterr().err


def garbage() -> pb.Garbage:
    return pb.Garbage(
        nodes=[
            pb.NodeGarbage(node="left", kinds=[pb.GarbageOfKind(kind="results", count=12, bytes=3_400)]),
            pb.NodeGarbage(node="right", remarks=["all results stay"]),
        ]
    )


def test_gc_prints_what_went_from_where_and_what_stayed(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.garbage = garbage()
    assert run(["gc"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NODE  KIND     COUNT    SIZE",
        "left  results     12  3.4 kB",
        "3.4 kB removed",
        "the ledger's file keeps its size: the room in it is used again",
        "right: all results stay",
    ]
    assert (daemon.called, daemon.told) == (["CollectGarbage"], [pb.GarbageRequest(keep_s=30 * 86_400.0)])


def test_a_dry_run_of_gc_only_looks(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.garbage = garbage()
    assert run(["gc", "--dry-run", "--older-than", "0s", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"][0]["kinds"] == [{"kind": "results", "count": 12, "bytes": 3400}]
    assert (daemon.called, daemon.told) == ([], [pb.GarbageRequest(keep_s=0.0)])


def test_gc_says_when_there_is_nothing_and_refuses_what_is_no_length_of_time(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gc"]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"
    assert run(["gc", "--older-than", "a while"]) == 2
    assert len(daemon.called) == 1
