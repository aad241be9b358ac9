"""Ending: why a child process ended, in words that a person can act on."""

from __future__ import annotations

import signal

_LAST_WORDS_LINES = 6


def last_words(stderr: str) -> str:
    """The lines that explain an end: the start of a fatal error's report, else the end of whatever was said."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    fatal = next((place for place, line in enumerate(lines) if line.startswith("Fatal Python error")), None)
    chosen = lines[-_LAST_WORDS_LINES:] if fatal is None else lines[fatal:][:_LAST_WORDS_LINES]
    return " | ".join(chosen)


def ending(code: int | None) -> str:
    """What an exit status says, in words."""
    if code is None:
        return "it is ending"
    if code >= 0:
        return f"exit status {code}"
    hint = "; often the system's answer to a lack of memory" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{hint}"
