"""Program: what one of the operating system's own programs prints."""

from __future__ import annotations

import subprocess

_TIMEOUT_S = 5.0


def output_of(*command: str) -> str:
    """What it prints, "" when it is not there or hangs. Blocks: call it in a thread.

    What it does not know is missing in the output, so its exit status says nothing.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
