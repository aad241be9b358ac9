"""The service on macOS: a LaunchDaemon, as steps."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from realign_client.resources import resource
from realign_client.service.machine import Machine, filled
from realign_client.service.steps import RunProgram, Step, WriteFile

LABEL = "local.realign.realignd"
TARGET = f"system/{LABEL}"
PLIST = Path("/Library/LaunchDaemons") / f"{LABEL}.plist"


def plist(machine: Machine) -> dict[str, Any]:
    """The property list: the template with this machine's values."""
    template = plistlib.loads(resource("launchd", f"{LABEL}.plist").read_bytes())
    return _filled(template, machine.values())


def install(machine: Machine) -> tuple[Step, ...]:
    """Writes the property list and starts the daemon, replacing one that runs."""
    return (
        RunProgram(arguments=("mkdir", "-p", "-m", "0700", str(machine.data_dir)), as_root=False),
        WriteFile(path=PLIST, text=plistlib.dumps(plist(machine), sort_keys=False).decode()),
        *stop(),
        *start(),
    )


def uninstall() -> tuple[Step, ...]:
    """Ends the daemon and removes the property list; the data directory stays."""
    return (*stop(), RunProgram(arguments=("rm", "-f", str(PLIST))))


def start() -> tuple[Step, ...]:
    """Loads the daemon, which launchd then keeps alive."""
    # It may be loaded already, and then bootstrap fails; the kick says whether it runs.
    return (
        RunProgram(arguments=("launchctl", "bootstrap", "system", str(PLIST)), may_fail=True),
        RunProgram(arguments=("launchctl", "kickstart", TARGET)),
    )


def stop() -> tuple[Step, ...]:
    """Unloads the daemon: one that was only killed would be started again."""
    return (RunProgram(arguments=("launchctl", "bootout", TARGET), may_fail=True),)


def status() -> tuple[Step, ...]:
    """What launchd says of it."""
    return (RunProgram(arguments=("launchctl", "print", TARGET), as_root=False),)


def _filled(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - whatever a property list holds
    match value:
        case str():
            return filled(value, values)
        case dict():
            return {key: _filled(inner, values) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [_filled(inner, values) for inner in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
