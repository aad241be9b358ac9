"""Logs: where the daemon's events are written, and what may never be in them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sized
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TextIO, cast

import structlog

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import EventDict, Processor, WrappedLogger

# What people wrote or own must not reach a log file, however it got into the fields of an event.
SECRET_KEYS = frozenset({"prompt", "prompts", "message_text", "messages", "text", "completion", "document", "token"})


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event with the value of every secret field replaced by its length, at any depth of its mappings."""
    return {key: _hidden(value) if key in SECRET_KEYS else _searched(value) for key, value in event.items()}


def set_up(*, file: Path | None = None, level: str = "info") -> Lossy:
    """Sends events as JSON lines to the file, or for a person to stderr, until what comes back is left.

    The file is made with mode 0600 and appended to.
    """
    if file is None:
        stream: TextIO = sys.stderr
    else:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        stream = file.open("a", buffering=1, encoding="utf-8")
    lossy = Lossy(stream)
    renderer: list[Processor]
    if file is None:
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # rich would print local values: documents
            )
        ]
    else:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", lossy)),
    )
    # zeroconf and grpc warn through the standard library; they go the same way, at warning and above.
    logging.basicConfig(stream=lossy, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return lossy


class Lossy:
    """A stream that gives up what the disk has no room for: no line of a log is worth what it is about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """See TextIO."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """See TextIO."""
        with suppress(OSError):
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._stream.close()


def _hidden(value: object) -> str:
    return f"<{len(value)} hidden>" if isinstance(value, Sized) else "<hidden>"


def _searched(value: object) -> object:
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    return {key: _hidden(inner) if key in SECRET_KEYS else _searched(inner) for key, inner in fields.items()}
