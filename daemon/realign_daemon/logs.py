"""Logs: where the daemon's events are written, and what may never be in them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sized
from typing import TYPE_CHECKING, TextIO, cast

import structlog

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import EventDict, Processor, WrappedLogger

# What people wrote or own must not reach a log file, however it got into the fields of an event.
SECRET_KEYS = frozenset({"prompt", "prompts", "message_text", "messages", "text", "completion", "document", "token"})


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event with the value of every secret field replaced by its length, at any depth of its mappings."""
    return {key: _hidden(value) if key in SECRET_KEYS else _searched(value) for key, value in event.items()}


def set_up(*, file: Path | None = None, level: str = "info") -> TextIO:
    """Sends events as JSON lines to the file, or for a person to stderr; the caller closes what comes back.

    The file is made with mode 0600 and appended to.
    """
    if file is None:
        stream: TextIO = sys.stderr
    else:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        stream = file.open("a", buffering=1, encoding="utf-8")
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
        logger_factory=structlog.WriteLoggerFactory(file=stream),
    )
    # zeroconf and grpc warn through the standard library; they go the same way, at warning and above.
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return stream


def _hidden(value: object) -> str:
    return f"<{len(value)} hidden>" if isinstance(value, Sized) else "<hidden>"


def _searched(value: object) -> object:
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    return {key: _hidden(inner) if key in SECRET_KEYS else _searched(inner) for key, inner in fields.items()}
