"""realignctl submit against a scripted daemon on loopback: what is sent, printed and returned."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from realign_client.cli import run
from realign_client.testing import WAIT_S, ScriptedDaemon, serving
from realign_proto.v1 import curation_pb2 as pb

REQUEST = "Curate DPO preference pairs"


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
    return [sys.executable, "-c", "from realign_client.cli import main; main()", *arguments]


def test_submit_uploads_the_sources_announced_by_hash_and_watches_to_the_end(
    daemon: ScriptedDaemon, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", f"{REQUEST} from {book}", "--model", "pocket", "--count", "5", "--set", "gap=0.1"]) == 0
    (request,) = daemon.submitted
    (source,) = request.sources
    assert (source.name, source.size_bytes) == ("book.txt", book.stat().st_size)
    assert daemon.received == {hashlib.sha256(book.read_bytes()).hexdigest(): book.read_bytes()}
    assert (request.model, request.count, dict(request.settings)) == ("pocket", 5, {"gap": "0.1"})
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        *("job dpo-1", "Score pairs", "it ended", "job dpo-1: completed"),
        "fetch its files with: realignctl fetch dpo-1",
    ]
    assert shown.err == "warning: few rows\n"


def test_submit_json_prints_the_job_id_and_nothing_else(
    daemon: ScriptedDaemon, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.may_end.clear()
    assert run(["submit", REQUEST, "--source", str(book), "--json"]) == 0
    assert capsys.readouterr().out == '{"job_id": "dpo-1"}\n'


def test_submit_json_with_watch_prints_the_events_as_watch_does_behind_the_job_id(
    daemon: ScriptedDaemon, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.job.state, daemon.job.exit_code = "blocked", 3
    assert run(["submit", REQUEST, "--source", str(book), "--watch", "--json"]) == 3
    first, *events = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {"job_id": "dpo-1"}
    assert run(["watch", "dpo-1", "--json"]) == 3
    assert capsys.readouterr().out.splitlines() == events
    assert json.loads(events[-1])["job"]["state"] == "blocked"


def test_one_file_of_no_use_is_announced_beside_a_good_one_and_alone_is_wrong_usage(
    daemon: ScriptedDaemon, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.docx").write_bytes(b"PK")
    (tmp_path / "empty.jsonl").touch()
    bad = ("--source", str(tmp_path / "letter.docx"), "--source", str(tmp_path / "empty.jsonl"))
    assert run(["submit", REQUEST, *bad, "--detach"]) == 2
    assert "save it as PDF or HTML" in capsys.readouterr().err
    assert run(["submit", REQUEST, "--source", str(book), *bad, "--detach"]) == 0
    (request,) = daemon.submitted
    assert [source.name for source in request.sources] == ["book.txt", "letter.docx", "empty.jsonl"]
    assert b"PK" not in daemon.received.values()


def test_submit_detached_says_how_to_follow(
    daemon: ScriptedDaemon, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.may_end.clear()
    assert run(["submit", REQUEST, "--source", str(book), "--detach", "--output", "out"]) == 0
    out = capsys.readouterr().out
    assert "realignctl watch dpo-1" in out
    assert "realignctl fetch dpo-1 --output out" in out


def test_submit_with_output_fetches_what_a_blocked_job_made_and_exits_3(
    daemon: ScriptedDaemon, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.job.state, daemon.job.exit_code = "blocked", 3
    daemon.job.gates.append(pb.GateVerdict(tier="REJECT", remedy="raise --count"))
    assert run(["submit", REQUEST, "--source", str(book), "--output", str(tmp_path / "out")]) == 3
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == daemon.files["train.jsonl"]
    assert "remedy: raise --count" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([REQUEST, "--count", "0"], "--count"),
        ([REQUEST, "--source", "/nowhere/book.pdf"], "does not exist"),
        ([f"{REQUEST} from /nowhere/book.pdf"], "/nowhere/book.pdf does not exist"),
        ([REQUEST, "--source", __file__], ".pdf .txt .md"),
        ([REQUEST, "--type", "ppo"], "dpo, sft, rlvr, antihallucination"),
        ([REQUEST, "--bogus"], "--bogus"),
        ([REQUEST, "--bits", "two"], "--bits"),
        ([REQUEST, "--local", "--detach"], "--local"),
        ([REQUEST, "--output", f"{__file__}/folder"], "cannot be written; give another one with --output"),
        ([], "say what you want"),
    ],
)
def test_bad_usage_is_one_sentence_and_exits_2_before_anything_is_sent(
    daemon: ScriptedDaemon, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", *arguments]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert len(shown.err.splitlines()) == 1
    assert (shown.out, daemon.submitted) == ("", [])


def test_an_ambiguous_request_with_nobody_to_ask_exits_5_unless_it_is_accepted(
    daemon: ScriptedDaemon, book: Path
) -> None:
    vague = ["submit", "do something with this", "--source", str(book), "--detach"]
    assert run(vague) == 5
    assert daemon.submitted == []
    assert run([*vague, "--yes"]) == 0
    assert run([*vague, "--type", "sft"]) == 0
    assert [(request.assume_yes, request.data_type) for request in daemon.submitted] == [(True, ""), (False, "sft")]


def test_a_job_file_makes_the_same_request_as_its_options(daemon: ScriptedDaemon, book: Path) -> None:
    file = book.with_name("job.toml")
    file.write_text(f'request = "{REQUEST}"\nsource = ["book.txt"]\nuntil = "score"\nnodes = ["left", "right"]\n')
    assert run(["submit", "--spec", str(file), "--detach"]) == 0
    options = ["--source", str(book), "--until", "score", "--nodes", "left,right", "--detach"]
    assert run(["submit", REQUEST, *options]) == 0
    for request in daemon.submitted:
        request.client_token = ""
    assert daemon.submitted[0] == daemon.submitted[1]


def test_without_a_daemon_submit_says_how_to_start_one_offers_local_and_exits_4(
    book: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REALIGN_ENDPOINT", f"unix:{book.with_name('no.sock')}")
    assert run(["submit", REQUEST, "--source", str(book)]) == 4
    error = capsys.readouterr().err
    assert "realignctl daemon start" in error
    assert "--local" in error


@pytest.mark.parametrize(
    ("code", "exit_code", "expected"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "5", 5),
        (grpc.StatusCode.FAILED_PRECONDITION, "1", 1),
        (grpc.StatusCode.INVALID_ARGUMENT, None, 2),
        (grpc.StatusCode.NOT_FOUND, None, 2),
        (grpc.StatusCode.PERMISSION_DENIED, None, 4),
        (grpc.StatusCode.INTERNAL, None, 1),
    ],
)
def test_a_refusal_keeps_the_daemons_sentence_and_exit_code(
    daemon: ScriptedDaemon,
    code: grpc.StatusCode,
    exit_code: str | None,
    expected: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    daemon.refusal = (code, "the book is encrypted; remove its password", exit_code)
    assert run(["submit", REQUEST, "--detach"]) == expected
    assert "the book is encrypted; remove its password" in capsys.readouterr().err


PILOT = {
    "items": 20,
    "took_s": 5.0,
    "rows": [{"id": "1", "prompt": "12+34="}],
    "gates": [
        {
            "stage": "s",
            "metric": "gap",
            "tier": "HIGH",
            "undecided": True,
            "value": 0.5,
            "low": 0.4,
            "high": 0.6,
            "n": 9,
        }
    ],
    "stages": [{"stage": "s", "units": 40, "expected_s": 9.0, "low_s": 4.5, "high_s": 18.0, "basis": "measured"}],
    "eta_s": 9.0,
    "rejects": [],
}


def on_a_terminal(*arguments: str, answer: bytes) -> tuple[int, bytes]:
    """The exit code and what a person saw who typed the answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(realignctl(*arguments), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, answer)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # Linux: the other side is closed
    os.close(ours)
    return process.wait(WAIT_S), shown


@pytest.mark.parametrize(("answer", "code", "jobs"), [(b"n\n", 1, 0), (b"y\n", 0, 1)])
def test_submit_on_a_terminal_shows_the_plan_and_asks(
    daemon: ScriptedDaemon, book: Path, answer: bytes, code: int, jobs: int
) -> None:
    ended, shown = on_a_terminal("submit", REQUEST, "--source", str(book), "--detach", answer=answer)
    assert ended == code
    assert b"why: it fits" in shown
    assert b"Submit this job?" in shown
    assert len(daemon.submitted) == jobs


@pytest.mark.parametrize(
    ("answer", "code", "told"), [(b"y\n", 0, "ResumeJob"), (b"n\n", 1, "CancelJob")], ids=["goes on", "does not"]
)
def test_submit_on_a_terminal_shows_the_pilot_and_asks(
    daemon: ScriptedDaemon, book: Path, answer: bytes, code: int, told: str
) -> None:
    daemon.pilot = PILOT
    ended, shown = on_a_terminal("submit", REQUEST, "--source", str(book), answer=answer)
    assert ended == code, shown
    assert daemon.submitted[0].pilot == "ask"
    assert b"12+34=" in shown
    assert b"0.4 to 0.6" in shown
    assert daemon.called == [told]


def test_a_pilot_alone_ends_with_what_it_found(
    daemon: ScriptedDaemon, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.pilot = PILOT
    assert run(["submit", REQUEST, "--source", str(book), "--pilot-only", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"job_id": "dpo-1", "pilot": PILOT}
    assert daemon.submitted[0].pilot == "only"
    assert daemon.called == []


def test_evaluation_sets_and_given_rows_travel_beside_the_sources(
    daemon: ScriptedDaemon, book: Path, tmp_path: Path
) -> None:
    rows, exam = tmp_path / "rows.jsonl", tmp_path / "exam.jsonl"
    rows.write_text('{"q": "1"}\n')
    exam.write_text('{"q": "2"}\n')
    given = ("--from-data", str(rows), "--map", "question=q", "--eval-set", str(exam), "--append", "dpo-0")
    assert (
        run(["submit", REQUEST, *given, "--judge", "a", "--judge", "b", "--thinking", "generator=strip", "--detach"])
        == 0
    )
    (request,) = daemon.submitted
    assert (request.data.name, [one.name for one in request.eval_sets]) == ("rows.jsonl", ["exam.jsonl"])
    assert (dict(request.columns), request.append_job) == ({"question": "q"}, "dpo-0")
    assert (request.judge, list(request.judges), dict(request.thinking)) == ("a", ["b"], {"generator": "strip"})
    assert sorted(daemon.received.values()) == [rows.read_bytes(), exam.read_bytes()]
    assert not request.sources


def test_a_pilot_alone_that_is_blocked_says_so_in_json_and_exits_3(
    daemon: ScriptedDaemon, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.job.state, daemon.job.exit_code, daemon.job.pilot_json = "blocked", 3, json.dumps(PILOT)
    assert run(["submit", REQUEST, "--source", str(book), "--pilot-only", "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {"job_id": "dpo-1", "pilot": PILOT}


def test_a_printed_spec_with_rows_of_its_own_looks_for_no_file_that_its_request_names(
    daemon: ScriptedDaemon, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    data = {"name": "rows.jsonl", "sha256": "d", "size_bytes": 2}
    spec: dict[str, object] = {
        "request": "DPO pairs of rows.jsonl",
        "data_type": "dpo",
        "roles": {},
        "sources": [],
        "data": data,
    }
    file.write_text(json.dumps(spec))
    assert run(["submit", "--spec", str(file)]) == 0
    assert not daemon.submitted[0].sources
    assert json.loads(daemon.submitted[0].spec_json) == spec
