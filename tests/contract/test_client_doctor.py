"""Doctor and a daemon: what it asks of one, and what it says when none answers."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realign_client.cli import run
from realign_client.data_folder import LOCK
from realign_client.testing import ScriptedDaemon, serving
from realign_planner.diagnosis.causes import CAUSES


@pytest.fixture
def daemon() -> Iterator[str]:
    with serving(ScriptedDaemon()) as address:
        yield address


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code = run(["doctor", "--json", *arguments])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == code
    return {check["id"]: check for check in document["checks"]}


def test_a_daemon_that_answers_is_asked_for_its_nodes(daemon: str, capsys: pytest.CaptureFixture[str]) -> None:
    checks = examined(capsys, "--endpoint", daemon)

    assert (checks["daemon"]["state"], checks["daemon"]["sentence"]) == ("ok", "it answers; living nodes: 1")
    assert checks["python"]["state"] == "ok"  # an older daemon does not say it; then the Python here is asked


def test_a_daemon_that_is_named_and_silent_is_a_cause(capsys: pytest.CaptureFixture[str]) -> None:
    check = examined(capsys, "--endpoint", "127.0.0.1:1")["daemon"]

    assert (check["cause"], check["exit_code"]) == ("daemon_silent", CAUSES["daemon_silent"].exit_code)
    assert "127.0.0.1:1" in check["evidence"]


def test_where_nothing_says_that_there_is_a_daemon_none_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert examined(capsys)["daemon"]["state"] == "skipped"


def test_a_daemon_that_holds_its_folder_and_answers_nobody_is_a_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        check = examined(capsys)["daemon"]

    assert check["cause"] == "daemon_silent"
    assert str(folder) in check["evidence"]


def test_what_is_no_endpoint_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--endpoint", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
