"""Step: one thing that a service command does to the machine: a file written, or a program run."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from realign_client.errors import LocalFailure
from realign_client.terminal import say


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """A file that belongs to root and that everybody may read."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgram:
    """A program and its arguments."""

    arguments: tuple[str, ...]
    as_root: bool = True
    may_fail: bool = False  # "it was not running" is no failure


Step = WriteFile | RunProgram


def perform(steps: Sequence[Step], *, dry_run: bool) -> None:
    """Does the steps in order, as root through sudo where needed; a dry run prints them and does nothing.

    Raises:
        LocalFailure: a program is missing or failed; what was done before it stays.
    """
    for step in steps:
        match step:
            case WriteFile(path=path, text=text):
                if dry_run:
                    say(f"write {path}")
                    print(text)
                else:
                    _write(path, text)
            case RunProgram(arguments=arguments, as_root=as_root, may_fail=may_fail):
                command = _with_rights(arguments, as_root=as_root)
                if dry_run:
                    say(f"run   {shlex.join(command)}")
                else:
                    _run(command, may_fail=may_fail)


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as scratch:
        scratch.write(text)
        scratch.flush()
        command = ("install", "-m", "0644", "-o", "0", "-g", "0", scratch.name, str(path))
        _run(_with_rights(command, as_root=True), may_fail=False)


def _with_rights(arguments: Sequence[str], *, as_root: bool) -> tuple[str, ...]:
    return ("sudo", *arguments) if as_root and os.geteuid() != 0 else tuple(arguments)


def _run(command: Sequence[str], *, may_fail: bool) -> None:
    try:
        code = subprocess.run(command, check=False).returncode
    except FileNotFoundError as error:
        raise LocalFailure(f"{command[0]} is not on this machine; run `{shlex.join(command)}` where it is") from error
    if code != 0 and not may_fail:
        raise LocalFailure(f"`{shlex.join(command)}` failed with {code}; see what it said above")
