"""The service on Linux: a systemd unit, as steps."""

from __future__ import annotations

from pathlib import Path

from realign_client.resources import resource
from realign_client.service.machine import Machine, filled
from realign_client.service.steps import RunProgram, Step, WriteFile

UNIT = "realignd.service"
UNIT_FILE = Path("/etc/systemd/system") / UNIT


def unit(machine: Machine) -> str:
    """The text of the unit: the template with this machine's values; a % in one is doubled, as systemd reads it."""
    values = {placeholder: value.replace("%", "%%") for placeholder, value in machine.values().items()}
    return filled(resource("launchd", UNIT).read_text("utf-8"), values)


def install(machine: Machine) -> tuple[Step, ...]:
    """Writes the unit, starts the daemon now and at every boot; one that runs is replaced."""
    return (
        RunProgram(arguments=("mkdir", "-p", "-m", "0700", str(machine.data_dir)), as_root=False),
        WriteFile(path=UNIT_FILE, text=unit(machine)),
        _systemctl("daemon-reload"),
        _systemctl("enable", UNIT),
        _systemctl("restart", UNIT),
    )


def uninstall() -> tuple[Step, ...]:
    """Ends the daemon and removes the unit; the data directory stays."""
    return (
        RunProgram(arguments=("systemctl", "disable", "--now", UNIT), may_fail=True),
        RunProgram(arguments=("rm", "-f", str(UNIT_FILE))),
        _systemctl("daemon-reload"),
    )


def start() -> tuple[Step, ...]:
    """Starts the daemon."""
    return (_systemctl("start", UNIT),)


def stop() -> tuple[Step, ...]:
    """Ends the daemon until it is started or the machine boots."""
    return (_systemctl("stop", UNIT),)


def status() -> tuple[Step, ...]:
    """What systemd says of it."""
    return (RunProgram(arguments=("systemctl", "--no-pager", "status", UNIT), as_root=False),)


def _systemctl(*arguments: str) -> RunProgram:
    return RunProgram(arguments=("systemctl", *arguments))
