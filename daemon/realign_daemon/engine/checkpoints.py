"""Checkpoints: the folder where unfinished trainings of this node lie, each under the hash of its task."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

from realign_daemon.durable_file import private_folder
from realign_daemon.engine.api import Train
from realign_daemon.engine.codec import encode

_KEPT_S = 14 * 86400.0  # a training that nobody went on with for two weeks is not waited for


class Checkpoints:
    """Names the files. The engine child fills them; whoever sees a training end deletes its file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        private_folder(folder)

    def path(self, task: Train) -> Path:
        """Where the task's checkpoint is or would be. Old files of other trainings are deleted on the way."""
        for file in self._folder.iterdir():  # also what a child that was killed while it wrote has left
            with contextlib.suppress(FileNotFoundError):  # a child that just now renames it
                if file.stat().st_mtime < time.time() - _KEPT_S:
                    file.unlink()
        return self._folder / hashlib.sha256(encode(task)).hexdigest()
