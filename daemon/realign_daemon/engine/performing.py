"""Performing: tasks as requests to an engine child, and its replies as results whose files are among the blobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from realign_daemon.engine.api import Blobs, Progress, Result, Sha256, Task, Train, Trained
from realign_daemon.engine.checkpoints import Checkpoints
from realign_daemon.engine.codec import decode_result, encode
from realign_daemon.engine.errors import BadTask, EngineDied, MissingBlob


class Request(Protocol):
    """See EngineProcess.request."""

    async def __call__(self, body: Mapping[str, object], *, progress: Progress | None) -> dict[str, Any]:
        """The reply. Raises BadTask, EngineDied."""
        ...


class Performing:
    """What a task needs beside the child."""

    def __init__(self, blobs: Blobs, checkpoints: Checkpoints, *, checkpoint_every_s: float) -> None:
        self._blobs, self._checkpoints, self._every_s = blobs, checkpoints, checkpoint_every_s

    def body(self, task: Task) -> dict[str, object]:
        """The request for a task. Raises MissingBlob."""
        adapter_path = self._path(task.adapter) if task.adapter else ""
        return {"op": "task", "task": encode(task), "adapter": task.adapter or "", "adapter_path": adapter_path}

    async def perform(self, task: Task, request: Request, progress: Progress | None) -> Result:
        """The result of anything but a fuse. Raises MissingBlob and what the request raises."""
        body = self.body(task)
        if isinstance(task, Train):
            return await self._train(task, body, request, progress)
        return decode_result((await request(body, progress=progress))["result"])

    async def keep(self, file: Path) -> Sha256:
        """Moves what the child wrote into the blobs."""
        try:
            return await asyncio.to_thread(self._blobs.put_file, file)
        except FileNotFoundError as error:  # the child was ended just now, and its files with it
            raise EngineDied(model="", cause="it ended before what it wrote was stored") from error

    async def _train(
        self, task: Train, body: Mapping[str, object], request: Request, progress: Progress | None
    ) -> Trained:
        """The result of a training, begun anew or gone on with; what ends it for good takes its checkpoint away."""
        checkpoint = self._checkpoints.path(task)
        training = {
            "op": "train",
            "dataset_path": self._path(task.dataset),
            "checkpoint_path": str(checkpoint),
            "checkpoint_every_s": self._every_s,
        }
        try:
            reply = await request({**body, **training}, progress=progress)
        except BadTask:
            checkpoint.unlink(missing_ok=True)
            raise
        result = cast("Trained", decode_result(reply["result"]))
        trained = replace(result, adapter=await self.keep(Path(reply["file"])))
        checkpoint.unlink(missing_ok=True)
        return trained

    def _path(self, sha256: Sha256) -> str:
        if not self._blobs.has(sha256):
            raise MissingBlob(sha256=sha256)
        return str(self._blobs.path(sha256))
