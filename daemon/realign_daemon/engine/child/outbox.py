"""Outbox: the replies to the daemon, and the sign that the engine gets on."""

from __future__ import annotations

import time
from typing import BinaryIO

from realign_daemon.engine.api import Result
from realign_daemon.engine.codec import encode
from realign_daemon.engine.frames import write_frame_blocking

# Twice a second is often enough for a watchdog that waits for seconds, and costs nothing.
_TICK_S = 0.5


class Outbox:
    """One writer: the main thread. A tick comes from work done, never from a timer, or it would prove nothing."""

    def __init__(self, stream: BinaryIO) -> None:
        """`stream` is the real stdout; nothing else may write there."""
        self._stream = stream
        self._last_sent_s = 0.0
        self._last_step_s = time.monotonic()
        self._slowest_step_s = 0.0

    def result(self, task_id: int, result: Result, *, file: str = "") -> None:
        """A task's result; `file` is the path of the blob that belongs to it, for the daemon to move away."""
        self._send({"id": task_id, "result": encode(result), "file": file})

    def value(self, task_id: int, value: object) -> None:
        """The answer to a request that is no task."""
        self._send({"id": task_id, "value": value})

    def refuse(self, task_id: int, text: str) -> None:
        """A task that can never work."""
        self._send({"id": task_id, "refused": text})

    def progress(self, task_id: int, done: int, total: int, note: str) -> None:
        """How far one task is."""
        self._send({"id": task_id, "progress": [done, total, note]})

    def warning(self, event: str, reason: str) -> None:
        """Something for the daemon's log, which must hold no task's text."""
        self._send({"warning": event, "reason": reason})

    def step_began(self) -> None:
        """Work starts after waiting; the wait is no step."""
        self._last_step_s = time.monotonic()

    def step_done(self) -> None:
        """A step of work is done: says so now and then, with the longest step since it last said so."""
        now = time.monotonic()
        self._slowest_step_s = max(self._slowest_step_s, now - self._last_step_s)
        self._last_step_s = now
        if now - self._last_sent_s >= _TICK_S:
            self._send({"tick": self._slowest_step_s})
            self._last_sent_s, self._slowest_step_s = now, 0.0

    def _send(self, reply: dict[str, object]) -> None:
        write_frame_blocking(self._stream, reply)
