"""The service files and what installing them does."""

from __future__ import annotations

import configparser
import plistlib
import shlex
from pathlib import Path

import pytest

from realign_client.service import launchd, systemd
from realign_client.service.machine import Machine
from realign_client.service.steps import RunProgram, Step, WriteFile, perform

MACHINE = Machine(
    user="ada", home=Path("/Users/ada"), python=Path("/opt/my venv/bin/python3"), data_dir=Path("/Users/ada/.realign")
)


def written(steps: tuple[Step, ...]) -> WriteFile:
    return next(step for step in steps if isinstance(step, WriteFile))


def programs(steps: tuple[Step, ...]) -> list[tuple[str, ...]]:
    return [step.arguments for step in steps if isinstance(step, RunProgram)]


def test_the_property_list_is_a_daemon_of_its_owner_that_launchd_keeps_alive_and_does_not_throttle() -> None:
    file = written(launchd.install(MACHINE))
    assert file.path == Path("/Library/LaunchDaemons/local.realign.realignd.plist")
    assert plistlib.loads(file.text.encode()) == {
        "Label": "local.realign.realignd",
        "ProgramArguments": [
            *("/opt/my venv/bin/python3", "-m", "realign_daemon.main", "--data-dir", "/Users/ada/.realign")
        ],
        "UserName": "ada",
        "WorkingDirectory": "/Users/ada",
        "EnvironmentVariables": {
            "HOME": "/Users/ada",
            "PATH": "/opt/my venv/bin:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        },
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 10,
        "ProcessType": "Interactive",
        "ExitTimeOut": 30,
        "Umask": 0o077,
        "SoftResourceLimits": {"NumberOfFiles": 4096},
        "StandardOutPath": "/Users/ada/.realign/realignd.out",
        "StandardErrorPath": "/Users/ada/.realign/realignd.out",
    }


def test_installing_on_macos_replaces_a_daemon_that_runs() -> None:
    assert [" ".join(arguments[:2]) for arguments in programs(launchd.install(MACHINE))[1:]] == [
        *("launchctl bootout", "launchctl bootstrap", "launchctl kickstart")
    ]


def test_the_unit_runs_the_same_daemon_as_the_same_owner() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    unit.read_string(systemd.unit(MACHINE))
    service = unit["Service"]
    assert shlex.split(service["ExecStart"]) == [
        *("/opt/my venv/bin/python3", "-m", "realign_daemon.main", "--data-dir", "/Users/ada/.realign")
    ]
    assert (service["User"], service["Restart"], service["RestartSec"]) == ("ada", "always", "10")
    assert (service["TimeoutStopSec"], service["UMask"], service["LimitNOFILE"]) == ("30", "0077", "4096")


def test_a_percent_sign_in_a_path_is_doubled_for_systemd() -> None:
    odd = Machine(user="ada", home=Path("/h"), python=Path("/p"), data_dir=Path("/100%"))
    assert '"/100%%"' in systemd.unit(odd)


@pytest.mark.parametrize("steps", [launchd.uninstall(), systemd.uninstall()])
def test_uninstalling_stops_the_daemon_and_removes_only_its_service_file(steps: tuple[Step, ...]) -> None:
    removed = [arguments[-1] for arguments in programs(steps) if arguments[0] == "rm"]
    assert removed in ([str(launchd.PLIST)], [str(systemd.UNIT_FILE)])
    assert programs(steps)[0][0] in ("launchctl", "systemctl")


def test_a_dry_run_prints_every_step_and_does_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "file"
    steps = (WriteFile(path=target, text="[Unit]"), RunProgram(arguments=("touch", str(target)), as_root=False))
    perform(steps, dry_run=True)
    assert capsys.readouterr().out == f"write {target}\n[Unit]\nrun   touch {target}\n"
    assert not target.exists()
