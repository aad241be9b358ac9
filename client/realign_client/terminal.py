"""The terminal: what commands print, to whom, and whether somebody can be asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from realign_client.errors import BadUsage


def is_interactive() -> bool:
    """Whether a person reads stdout and can answer on stdin."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def agreed(question: str, *, yes: bool) -> bool:
    """Whether what cannot be undone may be done: `yes` says so beforehand, else the person does.

    Raises:
        BadUsage: nobody can be asked.
    """
    if yes:
        return True
    if not is_interactive():
        raise BadUsage("this cannot be undone and nobody can be asked; look at what goes and add --yes")
    note(f"{question} [y/N]")
    return input().strip().lower() in ("y", "yes")


def say(lines: str | Iterable[str]) -> None:
    """Prints lines for a person."""
    for line in lines.splitlines() if isinstance(lines, str) else lines:
        print(printable(line), flush=True)


def note(text: str) -> None:
    """Prints what is no result: to stderr, so that stdout stays clean for programs."""
    for line in text.splitlines():
        print(printable(line), file=sys.stderr, flush=True)


def emit(document: object) -> None:
    """Prints one JSON document on one line, as `--json` promises."""
    print(json.dumps(document), flush=True)


def printable(text: str) -> str:
    """The text without control characters: a job's words come from another machine and must not steer this terminal."""
    return "".join(character if character.isprintable() else " " for character in text)
