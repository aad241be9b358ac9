"""Deliveries against a scripted daemon on loopback: files promised by `submit --output` arrive at a later contact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from realign_client import deliveries
from realign_client.cli import run
from realign_client.deliveries import Promise
from realign_client.testing import ScriptedDaemon, serving


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon()
    scripted.job.state = "running"
    monkeypatch.setenv("REALIGN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text("seven and three is ten\n")
    with serving(scripted) as address:
        monkeypatch.setenv("REALIGN_ENDPOINT", address)
        yield scripted


def submit_and_leave() -> None:
    assert run(["submit", "Curate DPO pairs", "--source", "book.txt", "--detach", "--json", "--output", "out"]) == 0


def test_a_detached_submit_promises_its_absolute_folder(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    submit_and_leave()
    promised = {"dpo-1": {"folder": str(tmp_path / "out"), "tries": 0}}
    assert json.loads((tmp_path / "data" / "deliveries.json").read_text()) == promised


def test_jobs_says_below_the_table_where_a_running_job_will_be_delivered(
    daemon: ScriptedDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit_and_leave()
    assert run(["jobs"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"dpo-1 will be delivered to {tmp_path / 'out'}"
    assert run(["jobs", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "contact", [["jobs"], ["jobs", "--json"], ["show", "dpo-1"], ["show", "dpo-1", "--spec"], ["watch", "dpo-1"]]
)
def test_the_next_contact_after_the_end_delivers_once(
    daemon: ScriptedDaemon, tmp_path: Path, contact: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    submit_and_leave()
    daemon.job.state = "completed"
    assert run(contact) == 0
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == daemon.files["train.jsonl"]
    assert f"delivered dpo-1 to {tmp_path / 'out'}\n" in capsys.readouterr().err
    assert deliveries.pending() == {}


@pytest.mark.parametrize("contact", [["watch", "dpo-1"], ["fetch", "dpo-1"]])
def test_watch_and_fetch_deliver_what_other_jobs_promised(
    daemon: ScriptedDaemon, tmp_path: Path, contact: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    deliveries.promise("dpo-0", tmp_path / "other")
    daemon.job.state = "completed"
    assert run(contact) == 0
    assert f"delivered dpo-0 to {tmp_path / 'other'}\n" in capsys.readouterr().err
    assert (tmp_path / "other" / "train.jsonl").exists()


@pytest.mark.parametrize("arguments", [["fetch", "dpo-1"], ["watch", "dpo-1", "--output", "elsewhere"]])
def test_files_that_were_fetched_are_not_delivered_again(
    daemon: ScriptedDaemon, tmp_path: Path, arguments: list[str]
) -> None:
    submit_and_leave()
    daemon.job.state = "completed"
    assert run(arguments) == 0
    assert deliveries.pending() == {}
    assert not (tmp_path / "out").exists()


def test_a_submit_that_waited_leaves_no_promise(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.job.state = "completed"
    assert run(["submit", "Curate DPO pairs", "--source", "book.txt", "--output", "out"]) == 0
    assert deliveries.pending() == {}


@pytest.mark.parametrize("contact", [["jobs"], ["show", "dpo-1"], ["watch", "dpo-1"]])
def test_a_delivery_that_fails_is_noted_kept_and_does_not_change_the_exit_code(
    daemon: ScriptedDaemon, tmp_path: Path, contact: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    submit_and_leave()
    daemon.job.state, daemon.damages = "completed", True
    assert run(contact) == 0
    assert "tried again at the next contact" in capsys.readouterr().err
    assert deliveries.pending() == {"dpo-1": Promise(folder=tmp_path / "out", tries=1)}


def test_a_folder_that_cannot_be_made_is_given_up_after_some_tries_with_what_to_do(
    daemon: ScriptedDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit_and_leave()
    (tmp_path / "out").write_text("a file in the way")
    daemon.job.state = "completed"
    for tries in range(1, deliveries.MOST_TRIES):
        assert run(["jobs"]) == 0
        assert deliveries.pending() == {"dpo-1": Promise(folder=tmp_path / "out", tries=tries)}
    capsys.readouterr()
    assert run(["jobs"]) == 0
    said = capsys.readouterr().err
    assert f"dpo-1 could not be delivered to {tmp_path / 'out'} in 3 tries (" in said
    assert "realignctl fetch dpo-1 --output DIR" in said
    assert deliveries.pending() == {}


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [(grpc.StatusCode.NOT_FOUND, "2"), (grpc.StatusCode.UNAVAILABLE, "4"), (grpc.StatusCode.UNAVAILABLE, None)],
)
def test_a_home_that_may_only_be_away_costs_no_try(
    daemon: ScriptedDaemon, tmp_path: Path, code: grpc.StatusCode, exit_code: str | None
) -> None:
    submit_and_leave()
    daemon.refusal = (code, "there is no job 'dpo-1'", exit_code)
    for _ in range(deliveries.MOST_TRIES + 1):
        assert run(["jobs"]) == 0
    assert deliveries.pending() == {"dpo-1": Promise(folder=tmp_path / "out")}


def test_a_cancelled_job_that_is_still_writing_is_waited_for(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    submit_and_leave()
    daemon.job.state, daemon.job.output = "cancelled", ""
    assert run(["jobs"]) == 0
    assert deliveries.pending() == {"dpo-1": Promise(folder=tmp_path / "out")}


def test_a_job_that_ended_without_files_is_forgotten_with_a_note(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    submit_and_leave()
    daemon.job.state, daemon.job.output, daemon.job.ended_unix_s = "cancelled", "", 1.0
    assert run(["jobs"]) == 0
    assert "dpo-1 ended as cancelled without files" in capsys.readouterr().err
    assert deliveries.pending() == {}


def test_a_damaged_list_promises_nothing_and_takes_new_promises(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "deliveries.json").write_text("[1")
    assert run(["jobs"]) == 0
    submit_and_leave()
    assert deliveries.pending() == {"dpo-1": Promise(folder=tmp_path / "out")}
