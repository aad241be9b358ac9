"""Outbox: the replies to the daemon, and the signs that the engine lives and gets on."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from realign_daemon.engine.api import Result
from realign_daemon.engine.codec import encode
from realign_daemon.engine.frames import write_frame_blocking

# Twice a second is often enough for a watchdog that waits for seconds, and costs nothing.
_TICK_S = 0.5
# A group's watchdog looks for four of them.
_BEAT_S = 1.0


class Outbox:
    """Written to by the main thread. A tick comes from work done, never from a timer, or it would prove nothing.

    A rank also beats: a thread says that the process runs, and how far the main thread is. A rank that follows keeps
    its replies to itself, for rank 0 gives them.
    """

    def __init__(self, stream: BinaryIO, *, follows: bool = False) -> None:
        """`stream` is the real stdout; nothing else may write there."""
        self._stream, self._follows = stream, follows
        self._writing = threading.Lock()
        self._steps, self._busy = 0, False
        self._last_sent_s = 0.0
        self._last_step_s = time.monotonic()
        self._slowest_step_s = 0.0

    def result(self, task_id: int, result: Result, *, file: str = "") -> None:
        """A task's result; `file` is the path of the blob that belongs to it, for the daemon to move away."""
        self._answer({"id": task_id, "result": encode(result), "file": file})
        if file and self._follows:
            Path(file).unlink()

    def value(self, task_id: int, value: object) -> None:
        """The answer to a request that is no task."""
        self._answer({"id": task_id, "value": value})

    def refuse(self, task_id: int, text: str) -> None:
        """A task that can never work."""
        self._answer({"id": task_id, "refused": text})

    def progress(self, task_id: int, done: int, total: int, note: str) -> None:
        """How far one task is."""
        self._answer({"id": task_id, "progress": [done, total, note]})

    def warning(self, event: str, reason: str) -> None:
        """Something for the daemon's log, which must hold no task's text."""
        self._send({"warning": event, "reason": reason})

    def formed(self) -> None:
        """The group is there. From now on this rank beats."""
        self._send({"formed": True})
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def gather(self, data: bytes) -> None:
        """This rank's part of JACCL's hand-shake."""
        self._send({"gather": data})

    def holding(self, active_bytes: int, weight_bytes: int) -> None:
        """What is in memory after a load."""
        self._send({"holding": [active_bytes, weight_bytes]})

    def canary(self, task_id: int, logprobs: Sequence[Sequence[float]]) -> None:
        """What this very rank found."""
        self._send({"canary": [task_id, logprobs]})

    def rests(self) -> None:
        """There is nothing to do."""
        self._busy = False

    def went_round(self) -> None:
        """This rank, which has nothing to do either, has met all others."""
        self._steps += 1

    def step_began(self) -> None:
        """Work starts after waiting; the wait is no step."""
        self._busy = True
        self._last_step_s = time.monotonic()

    def step_done(self) -> None:
        """A step of work is done: says so now and then, with the longest step since it last said so."""
        now = time.monotonic()
        self._steps += 1
        self._slowest_step_s = max(self._slowest_step_s, now - self._last_step_s)
        self._last_step_s = now
        if now - self._last_sent_s >= _TICK_S:
            self._send({"tick": self._slowest_step_s})
            self._last_sent_s, self._slowest_step_s = now, 0.0

    def _answer(self, reply: dict[str, object]) -> None:
        if not self._follows:
            self._send(reply)

    def _send(self, frame: dict[str, object]) -> None:
        with self._writing:
            write_frame_blocking(self._stream, frame)

    def _beat(self) -> None:
        while True:
            time.sleep(_BEAT_S)
            try:
                self._send({"beat": [self._steps, self._busy]})
            except BrokenPipeError:
                return  # the daemon has gone, and the inbox ends the process
