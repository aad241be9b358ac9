"""Inbox: the requests of the daemon, read by a thread of their own while MLX keeps the main thread."""

from __future__ import annotations

import os
import queue
import threading
from typing import Any, BinaryIO, cast

from realign_daemon.engine.frames import FrameError, read_frame_blocking


class Inbox:
    """Requests in order of arrival.

    The end of the pipe ends the process at once, whatever the main thread does: a daemon that was killed leaves no
    engine behind.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Starts reading."""
        self._stream = stream
        self._requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self, *, wait: bool, at_most_s: float | None = None) -> list[dict[str, Any]]:
        """All requests that have come; with `wait` at least one, or none after the given time."""
        taken: list[dict[str, Any]] = []
        while True:
            if wait and not taken:
                try:
                    taken.append(self._requests.get(timeout=at_most_s))
                except queue.Empty:
                    return []
            try:
                taken.append(self._requests.get_nowait())
            except queue.Empty:
                return taken

    def is_cancelled(self, task_id: int) -> bool:
        """Whether nobody waits for this task any more; seen at once, also while the main thread trains."""
        return task_id in self._cancelled

    def forget(self, task_id: int) -> None:
        """The cancellation has been obeyed."""
        self._cancelled.discard(task_id)

    def _read(self) -> None:
        while True:
            try:
                request = cast("dict[str, Any] | None", read_frame_blocking(self._stream))
            except (FrameError, OSError):
                os._exit(os.EX_PROTOCOL)
            if request is None:
                os._exit(os.EX_OK)
            if request["op"] == "cancel":
                self._cancelled.add(request["id"])
            self._requests.put(request)
