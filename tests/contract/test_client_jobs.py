"""Job commands and the library against a scripted daemon on loopback: what is printed, fetched and returned."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from realign_client.api import connect
from realign_client.cli import run
from realign_client.errors import Refused
from realign_client.sources import collect
from realign_client.testing import WAIT_S, ScriptedDaemon, serving
from realign_proto.v1 import curation_pb2 as pb

REQUEST = "Curate DPO preference pairs"
# realignctl as a shell starts it in the foreground: where the tests run in the background, SIGINT is ignored.
REALIGNCTL = """
import signal
from realign_client.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
# The same, whose main thread gets no signal of the system's; another thread gets all.
DEAF = """
import signal, threading
from realign_client.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
main()
"""


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedDaemon]:
    scripted = ScriptedDaemon()
    monkeypatch.setenv("REALIGN_DATA_DIR", str(tmp_path / "data"))
    with serving(scripted) as address:
        monkeypatch.setenv("REALIGN_ENDPOINT", address)
        yield scripted


@pytest.fixture
def book(tmp_path: Path) -> Path:
    file = tmp_path / "book.txt"
    file.write_bytes(b"seven and three is ten\n" * 60_000)
    return file


def realignctl(*arguments: str) -> list[str]:
    return [sys.executable, "-c", REALIGNCTL, *arguments]


@pytest.mark.parametrize(
    ("state", "code"), [("completed", 0), ("completed_with_errors", 0), ("failed", 1), ("blocked", 3)]
)
def test_watch_exits_as_the_job_ended(daemon: ScriptedDaemon, state: str, code: int) -> None:
    daemon.job.state, daemon.job.exit_code = state, code
    assert run(["watch", "dpo"]) == code


def test_watch_json_prints_a_document_for_each_event(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["watch", "dpo-1", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["kind"], event["job"]["state"]) for event in events] == [
        *(("snapshot", "running"), ("ended", "completed"))
    ]


def test_ctrl_c_leaves_the_job_running_and_says_how_to_watch_it_again(daemon: ScriptedDaemon) -> None:
    daemon.may_end.clear()
    watching = subprocess.Popen(realignctl("watch", "dpo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert watching.stdout.readline() == "Score pairs\n"
    watching.send_signal(signal.SIGINT)
    _, error = watching.communicate(timeout=WAIT_S)
    assert (watching.returncode, error) == (130, "the job goes on; realignctl watch dpo-1\n")
    assert daemon.told == []


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_does_not_interrupt_the_wait_of_the_loop_is_heard_all_the_same(
    daemon: ScriptedDaemon, sent: signal.Signals, code: int
) -> None:
    """One that comes just before the wait, or that the system gives to another thread, as here."""
    daemon.may_end.clear()
    watching = subprocess.Popen([sys.executable, "-c", DEAF, "watch", "dpo"], stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert watching.stdout.readline() == "Score pairs\n"
    watching.send_signal(sent)
    assert watching.wait(WAIT_S) == code


def test_fetch_goes_to_a_folder_of_the_jobs_name_when_none_is_given(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["fetch", "dpo-1", "--json"]) == 0
    folder = tmp_path / "dpo_book_20260101"
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == set(daemon.files)
    assert json.loads(capsys.readouterr().out)["output"] == str(folder)


def test_a_damaged_file_is_not_kept_and_the_exit_code_says_so(daemon: ScriptedDaemon, tmp_path: Path) -> None:
    daemon.damages = True
    assert run(["fetch", "dpo-1", "--output", str(tmp_path)]) == 1
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_fetch_names_the_files_that_are_not_what_the_job_wrote_and_places_none(
    daemon: ScriptedDaemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrote = {**daemon.files, "valid.jsonl": b"", "README.md": b"card"}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in wrote.items())
    daemon.files = {**daemon.files, "README.md": b"card", "SHA256SUMS": sums.encode(), "summary.json": b"{}"}
    daemon.files["train.jsonl"] = b"changed"
    (tmp_path / "README.md").write_text("mine")
    assert run(["fetch", "dpo-1", "--output", str(tmp_path)]) == 1
    assert "has other hashes for train.jsonl, valid.jsonl (missing): changed on the home" in capsys.readouterr().err
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("as_json", [False, True])
def test_watch_says_how_to_resume_a_paused_job_and_follows_it_to_its_end(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    daemon.pauses_before_its_end = True
    daemon.job.state, daemon.job.exit_code = "blocked", 3
    assert run(["watch", "dpo-1", *(["--json"] if as_json else [])]) == 3
    assert "dpo-1 is paused; resume it with: realignctl resume dpo-1" in capsys.readouterr().out


def test_watch_ends_at_a_pilot_that_waits_for_a_word(daemon: ScriptedDaemon) -> None:
    daemon.pilot = {"items": 20}
    assert run(["watch", "dpo-1"]) == 0
    assert daemon.told == []


def test_a_retry_says_what_the_job_warns_of(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.job.warnings.append("other thresholds")
    assert run(["retry", "dpo-1", "--json"]) == 0
    assert "warning: other thresholds" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["cancel", "pause", "resume", "adopt"])
def test_orders_reach_the_job(daemon: ScriptedDaemon, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "dpo-1", "--json"]) == 0
    assert daemon.told == [pb.JobRef(job_id="dpo-1")]
    assert json.loads(capsys.readouterr().out)["id"] == "dpo-1"


def test_retry_carries_stage_settings_and_an_override_with_its_reason(daemon: ScriptedDaemon) -> None:
    options = ["--from", "score", "--set", "gap=0.1", "--override", "gap", "--reason", "a test"]
    assert run(["retry", "dpo-1", *options]) == 0
    assert daemon.told == [
        pb.RetryRequest(
            job_id="dpo-1", from_stage="score", settings={"gap": "0.1"}, override_gate="gap", reason="a test"
        )
    ]
    assert run(["retry", "dpo-1", "--override", "gap"]) == 2


def test_jobs_and_show_print_one_document(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.job.spec_json = '{"request": "x"}'
    assert (run(["jobs", "--json"]), run(["show", "dpo-1", "--json"]), run(["show", "dpo-1", "--spec"])) == (0, 0, 0)
    listed, shown, spec = capsys.readouterr().out.split("\n", 2)
    assert [job["id"] for job in json.loads(listed)["jobs"]] == ["dpo-1"]
    assert json.loads(shown)["state"] == "completed"
    assert json.loads(spec) == {"request": "x"}


async def test_the_library_submits_watches_and_fetches(daemon: ScriptedDaemon, book: Path, tmp_path: Path) -> None:
    async with connect() as client:
        reply = await client.submit(pb.JobRequest(text=REQUEST), collect([str(book)]))
        states = [event.job.state async for event in client.watch(reply.job_id)]
        files = await client.fetch(reply.job_id, tmp_path / "out")
    assert states == ["running", "completed"]
    assert [file.read_bytes() for file in files] == list(daemon.files.values())


async def test_the_library_raises_what_the_daemon_refuses(daemon: ScriptedDaemon) -> None:
    daemon.refusal = (grpc.StatusCode.NOT_FOUND, "there is no such job", "2")
    async with connect() as client:
        with pytest.raises(Refused, match="there is no such job"):
            await client.job("nope")


def test_a_sample_names_its_rows_and_says_how_many_there_are(
    daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sample", "dpo-1", "-n", "2"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["ab12cd34ef56  prompt: q"] * 2
    assert "2 of 50 rows" in shown.err
    assert run(["sample", "dpo-1", "--rejected", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == [{"stage": "score", "reason": "a tie"}]


def test_why_says_where_a_row_comes_from(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "dpo-1", "ab12"]) == 0
    shown = capsys.readouterr().out
    for part in ("row ab12", "book.pdf, One", "page 3, characters 10 to 20", "“seven and three”", "gap: 0.5"):
        assert part in shown


def test_rows_are_dropped_by_where_they_come_from(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drop", "dpo-1", "--page", "3", "--where", "label=abstain"]) == 0
    assert "2 rows dropped" in capsys.readouterr().out
    (told,) = daemon.told
    assert told == pb.DropRequest(job_id="dpo-1", conditions=["page 3", "where label=abstain"])
    assert run(["drop", "dpo-1"]) == 2
