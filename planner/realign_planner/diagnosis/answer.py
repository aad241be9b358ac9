"""Answer: what one command said about a machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What it printed, and its exit status: None when it did not end in time."""

    text: str
    status: int | None = 0


Answers = Mapping[str, Answer]  # by the command's name (commands.py); one that the machine does not have is missing

Version = tuple[int, ...]

_VERSION = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?")


def said(answers: Answers, name: str) -> str | None:
    """What the command printed when all went well; None when it is not there, failed or hung."""
    answer = answers.get(name)
    return answer.text if answer is not None and answer.status == 0 else None


def lines_of(text: str | None) -> list[str]:
    """Its lines without the space around them, empty ones left out."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def document(text: str | None) -> dict[str, Any] | None:
    """The JSON object that the text is; None for anything else."""
    try:
        found: Any = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def objects(value: object) -> list[dict[str, Any]]:
    """The JSON objects in a JSON array; none where it is something else."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def inner(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """The JSON object under the key; an empty one where there is none."""
    found = objects([parent.get(key)])
    return found[0] if found else {}


def word(value: object) -> str:
    """The text, or "" where it is none."""
    return value if isinstance(value, str) else ""


def version_of(text: str, *, whole: bool = True) -> Version | None:
    """Three figures; None when it is no version. Not `whole`: what follows them is left out, as in 0.33.0.dev1."""
    match = _VERSION.fullmatch(text) if whole else _VERSION.match(text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def shown(version: Version) -> str:
    """26.3, 26.3.1."""
    figures = version if len(version) > 2 and version[2] else version[:2]  # noqa: PLR2004 - the third is left out when 0
    return ".".join(map(str, figures))
