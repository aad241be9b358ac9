"""Program: what one of the operating system's own programs prints. Blocks: belongs into a thread."""

from __future__ import annotations

import os
import subprocess

from realign_planner.diagnosis.answer import Answer

_TIMEOUT_S = 5.0
_PATIENCE_S = 15.0  # system_profiler takes seconds


def output_of(*command: str) -> str:
    """What it prints, "" when it is not there or hangs. Its exit status says nothing: what it knows not is left out."""
    try:
        return _run(command, _TIMEOUT_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def answer_of(*command: str) -> Answer | None:
    """What it says, on stderr where it has nothing to say on stdout, and its exit status; None when it is not there."""
    try:
        done = _run(command, _PATIENCE_S)
    except subprocess.TimeoutExpired:
        return Answer(text="", status=None)
    except OSError:
        return None
    return Answer(text=done.stdout or done.stderr, status=done.returncode)


def _run(command: tuple[str, ...], timeout_s: float) -> subprocess.CompletedProcess[str]:
    english = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False, env=english
    )
