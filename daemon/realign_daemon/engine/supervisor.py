"""EngineSupervisor: the Engine of this machine. Starts, watches, ends and explains the child that computes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import structlog

from realign_daemon.engine.api import (
    Blobs,
    ComputeBenchmark,
    EngineStatus,
    Fuse,
    Fused,
    LocalModel,
    ModelBenchmark,
    Progress,
    Result,
    Task,
)
from realign_daemon.engine.checkpoints import Checkpoints
from realign_daemon.engine.codec import decode_result, structured
from realign_daemon.engine.environment import EngineSettings, child_environment
from realign_daemon.engine.errors import EngineDied, GroupDied, NotLoaded, OutOfMemory
from realign_daemon.engine.performing import Performing
from realign_daemon.engine.process import ChildOptions, EngineProcess
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.host.facts import free_bytes as available_bytes
from realign_planner.models import cache_bytes

_log = structlog.get_logger()

# A child without a model held 130 MB here (measured 2026-11-23, Linux); buffers and caches grow with the model.
CHILD_BYTES = 256 * 2**20
_CACHE_PER_WEIGHT_BYTE = 0.2  # where the shape of a model is not known
SLOWEST_DISK_BYTES_PER_S = 50e6  # how long a load may be silent: a slow USB disk
_STOPPING = "the daemon is stopping"


def needed_bytes(model: LocalModel, *, share: float = 1.0, sequences: int = 1) -> int:
    """Memory that loading a model, or this share of it, and running so many sequences takes, as plans count it.

    On Linux 16-bit weights become float32, twice as large.
    """
    growth = 2.0 if sys.platform == "linux" and model.bits == 16 else 1.0  # noqa: PLR2004
    weights, shape = model.weight_bytes * growth, model.shape
    cache = weights * _CACHE_PER_WEIGHT_BYTE
    if shape is not None:
        cache = cache_bytes(shape.layers, shape.kv_values, sequences=sequences)
    return int(share * (weights + cache)) + CHILD_BYTES


class EngineSupervisor:
    """See Engine in engine/api.py. One child at a time; a task for another model than the loaded one is refused."""

    def __init__(
        self,
        blobs: Blobs,
        cache_dir: Path,
        settings: EngineSettings | None = None,
        *,
        free_bytes: Callable[[], int] = available_bytes,
    ) -> None:
        """`cache_dir` is this daemon's own: the child's temporary files, its BLAS and its checkpoints lie there."""
        self._cache_dir, self._free_bytes = cache_dir, free_bytes
        self._settings = settings or EngineSettings()
        self._scratch = cache_dir / "engine"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._performing = Performing(
            blobs, Checkpoints(cache_dir / "checkpoints"), checkpoint_every_s=self._settings.checkpoint_every_s
        )
        self._switching = asyncio.Lock()
        self._process: EngineProcess | None = None
        self._model: LocalModel | None = None  # the loaded one; None while loading and in a child without a model
        self._activity = ""  # "starting" or "benchmarking"; else what follows from the child
        self._last_error = ""
        self._closed = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._unloading: asyncio.Task[None] | None = None

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        """See Engine. Raises OutOfMemory, EngineDied, or BadTask when the folder holds no model that mlx_lm reads.

        This engine is one machine's: it is in no group.
        """
        if group is not None:
            raise GroupDied(model=model.name, group="", lost=(), cause="this engine computes alone")
        async with self._switching:
            self._stop_idling()
            try:
                await self._load(model)
            finally:
                self._activity = ""
                self._start_idling()

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        """See Engine. Raises NotLoaded (an EngineDied) for a task of another model than the loaded one, MissingBlob."""
        if self._model is None or self._model.model != task.model:
            raise NotLoaded(model=task.model)
        if isinstance(task, Fuse):
            return await self._fuse(self._model, self._performing.body(task))
        return await self._performing.perform(task, self._request, progress)

    def confirmation(self) -> None:
        """See Engine."""

    async def benchmark_model(self, model: LocalModel, *, budget_s: float) -> ModelBenchmark:
        """See Engine. Loads the model; other tasks wait."""
        await self.load(model)
        reply = await self._benchmark({"op": "benchmark_model", "budget_s": budget_s})
        return structured(reply["value"], ModelBenchmark)

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:
        """See Engine. Uses the child that is there, else one without a model that ends afterwards."""
        async with self._switching:
            self._stop_idling()
            alone = self._process is None or self._process.has_ended
            try:
                if alone:
                    await self._start("")
                reply = await self._benchmark({"op": "benchmark_compute", "budget_s": budget_s})
            finally:
                if alone:
                    await self._end("the measurement is over")
                self._start_idling()
        return structured(reply["value"], ComputeBenchmark)

    def status(self) -> EngineStatus:
        """See Engine."""
        process = self._process
        if process is None or process.has_ended:
            error = self._last_error or (process.death().cause if process else "")  # it may die with nothing to do
            state = "failed" if error else "absent"
            return EngineStatus(state="starting" if self._activity == "starting" else state, last_error=error)
        state = "starting" if self._activity == "starting" else "busy" if process.in_flight else "ready"
        return EngineStatus(
            state="benchmarking" if self._activity == "benchmarking" else state,
            model=self._model.name if self._model else "",
            pid=process.pid,
            rss_bytes=_rss_bytes(process.pid),
            last_error=self._last_error,
        )

    async def unload(self, cause: str) -> None:
        """Ends the child and gives its memory back, unless something runs, loads or is measured in it."""
        if self._switching.locked():
            return
        async with self._switching:
            if self._process is not None and not self._process.in_flight:
                _log.info("engine.unloaded", cause=cause)
                self._stop_idling()
                await self._end(cause)

    async def close(self) -> None:
        """Ends the child; tasks in it get EngineDied."""
        self._stop_idling()
        self._closed = True
        await self._end(_STOPPING)
        async with self._switching:  # a child that was just being started
            await self._end(_STOPPING)

    async def _fuse(self, model: LocalModel, body: Mapping[str, object]) -> Fused:
        """The new model. A copy is in memory beside the loaded one, read, written, read again and packed."""
        needed, free = needed_bytes(model), self._free_bytes()
        if needed > free:
            raise OutOfMemory(model=model.name, needed_bytes=needed, free_bytes=free)
        patience_s = self._settings.stall_timeout_s + 4 * model.weight_bytes / SLOWEST_DISK_BYTES_PER_S
        reply = await self._request({**body, "op": "fuse", "model_path": str(model.path)}, stall_timeout_s=patience_s)
        result = cast("Fused", decode_result(reply["result"]))
        return replace(result, weights=await self._performing.keep(Path(reply["file"])))

    async def _load(self, model: LocalModel) -> None:
        running = self._process is not None and not self._process.has_ended
        if running and self._model is not None and self._model.model == model.model:
            return
        await self._end(f"{model.name} is loaded in its place")
        self._activity = "starting"
        needed, free = needed_bytes(model), self._free_bytes()
        if needed > free:
            raise OutOfMemory(model=model.name, needed_bytes=needed, free_bytes=free)
        await self._start(model.name)
        patience_s = self._settings.stall_timeout_s + model.weight_bytes / SLOWEST_DISK_BYTES_PER_S
        try:
            await self._request({"op": "load", "path": str(model.path)}, stall_timeout_s=patience_s)
        except BaseException:
            await self._end("its model could not be loaded")
            raise
        self._model = model
        self._last_error = ""
        _log.info("engine.loaded", model=model.name, pid=self._process.pid if self._process else 0)

    async def _start(self, model_name: str) -> None:
        if self._closed:
            raise EngineDied(model=model_name, cause=_STOPPING)
        self._process = await EngineProcess.start(
            model=model_name,
            options=ChildOptions(
                blas_cache=self._cache_dir / "blas",
                duty_fraction=self._settings.duty_fraction,
                max_batch_size=self._settings.max_batch_size,
            ),
            environment=child_environment(os.environ, self._settings),
            scratch=self._scratch,
        )

    async def _end(self, cause: str) -> None:
        process, self._process, self._model = self._process, None, None
        if process is not None:
            await process.end(cause)

    async def _benchmark(self, body: Mapping[str, object]) -> dict[str, Any]:
        self._activity = "benchmarking"
        try:
            return await self._request(body)
        finally:
            self._activity = ""

    async def _request(
        self, body: Mapping[str, object], *, progress: Progress | None = None, stall_timeout_s: float | None = None
    ) -> dict[str, Any]:
        process = self._process
        if process is None:
            raise NotLoaded(model="")
        self._stop_idling()
        try:
            return await process.request(
                body, stall_timeout_s=stall_timeout_s or self._settings.stall_timeout_s, progress=progress
            )
        except EngineDied as error:
            if self._process is process:  # the first request to hear of it; an end that was asked for is no news
                self._process, self._model = None, None
                self._last_error = f"{error.cause}: {error.last_words}" if error.last_words else error.cause
                _log.warning("engine.died", model=error.model, cause=error.cause, last_words=error.last_words)
            raise
        finally:
            self._start_idling()

    def _start_idling(self) -> None:
        self._stop_idling()
        if self._settings.idle_unload_s > 0 and self._process is not None and not self._process.in_flight:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._settings.idle_unload_s, self._unload)

    def _stop_idling(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _unload(self) -> None:
        self._unloading = asyncio.create_task(self.unload("it had nothing to do"), name="engine-unload")


def _rss_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, OSError):  # it is gone, or no file can be opened to look
        return 0
