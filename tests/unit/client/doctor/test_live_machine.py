"""Doctor on a machine whose commands are stand-ins on the PATH, and what it records of it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.unit.client.doctor.recorded import DATA

from realign_client.cli import run
from realign_client.doctor.recording import redacted
from realign_planner.diagnosis.causes import CAUSES
from realign_planner.diagnosis.commands import COMMON, MACOS

OF_DAEMON = ("daemon_log", "daemon_last_words", "sandbox")


def become(recorded: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts programs on the PATH that say what was recorded of a Mac."""
    folder.mkdir()
    cases: dict[str, list[str]] = {}
    for name, (program, *arguments) in {**COMMON, **MACOS}.items():
        if name not in OF_DAEMON and (recorded / name).exists():
            given = " ".join(arguments).replace("gui/{uid}", "gui/*").replace("{disk}", "*").replace(" ", r"\ ")
            status = (recorded / f"{name}.rc").read_text().strip() if (recorded / f"{name}.rc").exists() else "0"
            cases.setdefault(program, []).append(
                f"{given or '*'}) cat {shlex.quote(str(recorded / name))}; exit {status};;"
            )
    cases["ibv_devinfo"] = [f"*) cat {shlex.quote(str(recorded))}/ibv_devinfo_$2;;"]
    for program, branches in cases.items():
        script = "\n".join(("#!/bin/sh", 'case "$*" in', *branches, "*) exit 64;;", "esac"))
        (folder / program).write_text(f"{script}\n")
        (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def examined(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code = run(["doctor", "--json", *arguments])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == code
    return document


def test_stand_ins_on_the_path_make_a_healthy_mac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    become(DATA / "laptop", tmp_path / "bin", monkeypatch)

    document = examined(capsys)

    states = {check["id"]: check["state"] for check in document["checks"]}
    assert document["exit_code"] == 0
    for step in ("macos", "thunderbolt", "rdma_ctl", "rdma_devices", "rdma_port", "rdma_network"):
        assert states[step] == "ok"


@pytest.mark.parametrize(
    ("says", "cause"),
    [
        (("sw_vers", "echo 26.1"), "macos_too_old"),
        (("rdma_ctl", "echo disabled"), "rdma_disabled"),
        (("ibv_devices", "echo device"), "rdma_no_devices"),
        (("ibv_devinfo", "echo 'hca_id: rdma_en2'; echo ' state: PORT_DOWN (1)'"), "port_down"),
        (("ibv_devinfo", "head -c 5000 /dev/urandom"), "cannot_tell"),
        (("system_profiler", "exit 1"), "cannot_tell"),
    ],
)
def test_a_stand_in_that_answers_otherwise_is_the_cause(
    says: tuple[str, str],
    cause: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = become(DATA / "laptop", tmp_path / "bin", monkeypatch)
    program, script = says
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")

    assert examined(capsys)["exit_code"] == CAUSES[cause].exit_code


def test_a_recording_gives_the_same_diagnosis_as_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = become(DATA / "laptop", tmp_path / "bin", monkeypatch)
    (folder / "ibv_devices").write_text("#!/bin/sh\nexit 7\n")

    live = examined(capsys, "--record", str(tmp_path / "recorded"))

    assert examined(capsys, "--recorded", str(tmp_path / "recorded")) == live


def test_a_recording_never_lands_among_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("")

    assert run(["doctor", "--record", str(tmp_path)]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_recording_names_no_user_and_keeps_no_environment_and_no_other_line_of_the_log() -> None:
    launchd = (
        "x = {\n\tprogram = /Users/alice/bin/python\n\tusername = alice\n\tenvironment = {\n\t\tTOKEN => secret\n\t}\n}"
    )
    log = (
        '{"event": "job.started", "job": "novel"}\n{"reason": "[ring] connection to a peer was lost", "by": "Alice"}\n'
    )
    users = frozenset({"alice"})

    shown = redacted("launchctl_system", launchd, users) + redacted("daemon_log", log, users)

    assert "program = /Users/USER/bin/python" in shown
    assert "[ring] connection to a peer was lost" in shown
    for word in ("alice", "Alice", "secret", "novel"):
        assert word not in shown


def test_doctor_asks_for_states_and_sets_none() -> None:
    words = {word for arguments in (*COMMON.values(), *MACOS.values()) for word in arguments[1:]}

    changing = re.compile(r"-*(set|enable|disable|create|add|remove|delete|load|boot|kick)")
    assert not [word for word in words if changing.match(word)]
