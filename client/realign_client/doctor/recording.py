"""Recording: a folder with one file for each answer, by which a machine can be looked at that is not here.

FOLDER/NAME holds what the command printed, FOLDER/NAME.rc its exit status or `timeout` where that is not 0, and a
command without a file is not on the machine. FOLDER/peers/NODE/ is the recording of another machine of the cluster.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path

from realign_client.doctor.programs import OUTPUT_BYTES
from realign_client.errors import BadUsage
from realign_planner.diagnosis.answer import Answer, Answers
from realign_planner.diagnosis.log_failures import telling_lines

STATUS = ".rc"
TIMED_OUT = "timeout"
PEERS = "peers"
UNREADABLE = 1  # the status of a command whose recorded one is no number

_NAME = re.compile(r"[a-z0-9_]{1,60}")
_HOME = re.compile(r"(/Users|/home)/[^/\s\"',;:)]+")
_LAUNCHD = re.compile(r"^[^=\n]+= \{$|^[ \t]*(?:path|type|state|program|last exit code) = .*$", re.MULTILINE)


def read_recording(folder: Path) -> Answers:
    """The answers in the folder. Raises BadUsage when there are none, or it cannot be read."""
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and _NAME.fullmatch(path.name)]
        answers = {path.name: Answer(text=_text(path), status=_status(path)) for path in files}
    except OSError as error:
        raise BadUsage(
            f"{folder} cannot be read ({error.strerror}); name a folder that --record has written"
        ) from error
    if not answers:
        raise BadUsage(f"{folder} holds no recording; name a folder that `realignctl doctor --record` has written")
    return answers


def read_peers(folder: Path) -> Mapping[str, Answers]:
    """The recordings of other machines in a recording, by node."""
    peers = folder / PEERS
    folders = sorted(filter(Path.is_dir, peers.iterdir())) if peers.is_dir() else ()
    return {path.name: read_recording(path) for path in folders}


def write_recording(answers: Answers, folder: Path) -> None:
    """Writes them without names of users. Raises BadUsage when the folder is none, or has something in it already."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadUsage(f"{folder} cannot be made ({error.strerror}); name a new folder with --record") from error
    if any(folder.iterdir()):
        raise BadUsage(f"{folder} is not empty; name a new folder with --record")
    users = _users()
    for name, answer in sorted(answers.items()):
        (folder / name).write_text(redacted(name, answer.text, users), "utf-8")
        if answer.status != 0:
            status = TIMED_OUT if answer.status is None else str(answer.status)
            (folder / f"{name}{STATUS}").write_text(f"{status}\n", "utf-8")


def redacted(name: str, text: str, users: frozenset[str]) -> str:
    """What a recording keeps of an answer: of a log the lines that doctor reads, of launchd no environment."""
    if name in ("daemon_log", "daemon_last_words"):
        text = "".join(f"{line}\n" for line in telling_lines(text))
    elif name.startswith("launchctl_"):
        text = "".join(f"{line}\n" for line in _LAUNCHD.findall(text))
    text = _HOME.sub(r"\1/USER", text)
    for user in users:
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(user)}(?![A-Za-z0-9])", "USER", text, flags=re.IGNORECASE)
    return text


def _users() -> frozenset[str]:
    names = {os.environ.get("SUDO_USER", ""), Path.home().name}
    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        pass  # a number without a name
    else:
        names |= {entry.pw_name, entry.pw_gecos.partition(",")[0]}
    return frozenset(names - {"", "root"})


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(OUTPUT_BYTES).decode("utf-8", errors="replace")


def _status(path: Path) -> int | None:
    beside = path.with_name(f"{path.name}{STATUS}")
    if not beside.is_file():
        return 0
    text = _text(beside).strip()
    if text == TIMED_OUT:
        return None
    return int(text) if re.fullmatch(r"-?\d{1,5}", text, re.ASCII) else UNREADABLE
