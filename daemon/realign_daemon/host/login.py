"""Login: whether somebody uses this machine, so that room is left for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

from realign_daemon.host.program import output_of

_CONSOLE = Path("/dev/console")
_FIRST_PERSON = 1000  # the first user id that Linux gives to people
_NOBODY = 65534
_ROOT = 0
_NO_PEOPLE = frozenset({"manager", "manager-early", "greeter", "background", "background-light", "lock-screen"})


def somebody_is_logged_in() -> bool:
    """Whether a person is logged in: on macOS at the machine itself, on Linux also from afar. May block a moment."""
    if sys.platform == "darwin":
        return _console_is_owned()
    if psutil.users():  # utmp, which newer systems no longer keep
        return True
    return has_person(output_of("loginctl", "list-sessions", "--no-legend", "--no-pager"))


def has_person(sessions: str) -> bool:
    """Whether `loginctl list-sessions` lists one that is not the system's own: SESSION UID USER SEAT ... in columns."""
    return any(_is_person(line.split()) for line in sessions.splitlines())


def _is_person(columns: list[str]) -> bool:
    if len(columns) < 3 or not columns[1].isdecimal():  # noqa: PLR2004 - session, user id and name are always there
        return False
    user = int(columns[1])
    return (user == _ROOT or _FIRST_PERSON <= user < _NOBODY) and not _NO_PEOPLE & set(columns[3:])


def _console_is_owned() -> bool:
    """The login window leaves /dev/console to root; whoever logs in owns it then (`stat -f %Su /dev/console`)."""
    try:
        return os.stat(_CONSOLE).st_uid != _ROOT  # noqa: PTH116 - the plain call reads as what `stat` does
    except OSError:
        return False
