"""Loop: takes requests, gives adapters their turns, and answers. The main thread of the child."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx

from realign_daemon.engine.api import Fuse, ModelBenchmark, Train
from realign_daemon.engine.child.batches import Batches
from realign_daemon.engine.child.checkpoint import CheckpointFile
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.fuse import fuse
from realign_daemon.engine.child.inbox import Inbox
from realign_daemon.engine.child.load import Loaded, load
from realign_daemon.engine.child.lora import Adapters
from realign_daemon.engine.child.measure import measure_compute, measure_model
from realign_daemon.engine.child.objective import Alive
from realign_daemon.engine.child.outbox import Outbox
from realign_daemon.engine.child.train import train
from realign_daemon.engine.child.turns import Turn, Waiting, admitted, open_turn
from realign_daemon.engine.codec import decode_task
from realign_daemon.engine.errors import BadTask


class Cancelled(Exception):
    """Nobody waits any more for what runs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    loaded: Loaded
    adapters: Adapters
    batches: Batches


class Loop:
    """Serves until the process ends. An exception that gets out of here is a crash, and the daemon explains it."""

    def __init__(self, inbox: Inbox, outbox: Outbox, *, duty_fraction: float, max_batch_size: int) -> None:
        """At most `max_batch_size` tasks in one batch of any kind."""
        self._inbox, self._outbox = inbox, outbox
        self._duty = Duty(duty_fraction)
        self._max_batch_size = max_batch_size
        self._arrivals = 0
        self._waiting: list[Waiting] = []
        self._requests: dict[int, Mapping[str, Any]] = {}
        self._turn: Turn | None = None
        self._maybe_model: _Model | None = None

    def run(self) -> None:
        """Never returns."""
        while True:
            self._receive()
            if self._turn is None and self._waiting:
                self._begin(self._waiting[0])
            if self._turn is not None:
                self._advance(self._turn)

    @property
    def _model(self) -> _Model:
        if self._maybe_model is None:
            message = "a task came before its model"
            raise RuntimeError(message)
        return self._maybe_model

    def _receive(self) -> None:
        """Takes what has come; waits for something when there is nothing to do."""
        idle = self._turn is None and not self._waiting
        for request in self._inbox.take(wait=idle):
            task_id = int(request["id"])
            if request["op"] == "cancel":
                self._forget(task_id)
            else:
                self._enqueue(task_id, request)
        if idle:
            self._outbox.step_began()

    def _enqueue(self, task_id: int, request: Mapping[str, Any]) -> None:
        self._arrivals += 1
        exclusive = request["op"] != "task"
        adapter = "" if exclusive else request["adapter"]
        self._requests[task_id] = request
        self._waiting.append(Waiting(arrival=self._arrivals, task_id=task_id, adapter=adapter, exclusive=exclusive))

    def _forget(self, task_id: int) -> None:
        self._waiting = [task for task in self._waiting if task.task_id != task_id]
        self._requests.pop(task_id, None)
        if self._maybe_model is not None:
            self._maybe_model.batches.remove(task_id)
        self._inbox.forget(task_id)

    def _begin(self, oldest: Waiting) -> None:
        """Opens the oldest task's turn; what runs alone has had its turn when this returns."""
        if oldest.exclusive:
            self._waiting.remove(oldest)
            self._run_alone(oldest.task_id, self._requests.pop(oldest.task_id))
            return
        try:
            path = self._requests[oldest.task_id]["adapter_path"]
            self._model.adapters.swap(oldest.adapter, Path(path) if path else None)
        except BadTask as error:
            self._waiting.remove(oldest)
            self._outbox.refuse(oldest.task_id, str(error))
            return
        self._turn = open_turn(self._waiting)

    def _advance(self, turn: Turn) -> None:
        """Lets tasks join, does one step, and ends the turn when nothing is left to do in it."""
        for joining in admitted(self._waiting, turn):
            self._waiting.remove(joining)
            task = decode_task(self._requests.pop(joining.task_id)["task"])
            try:
                self._model.batches.add(joining.task_id, task)  # pyright: ignore[reportArgumentType] - Train is exclusive
            except BadTask as error:
                self._outbox.refuse(joining.task_id, str(error))
        for task_id, result in self._model.batches.step():
            self._outbox.result(task_id, result)
        self._outbox.step_done()
        if not self._model.batches:
            self._turn = None

    def _run_alone(self, task_id: int, request: Mapping[str, Any]) -> None:
        def alive() -> None:
            self._outbox.step_done()
            if self._inbox.is_cancelled(task_id):
                raise Cancelled

        try:
            match request["op"]:
                case "load":
                    self._load(task_id, Path(request["path"]))
                case "train":
                    self._train(task_id, request, alive)
                case "fuse":
                    self._fuse(task_id, request, alive)
                case "benchmark_model":
                    self._outbox.value(task_id, asdict(self._measure_model(alive, request["budget_s"])))
                case "benchmark_compute":
                    self._outbox.value(
                        task_id, asdict(measure_compute(self._duty, alive, budget_s=request["budget_s"]))
                    )
                case unknown:
                    message = f"unknown request {unknown!r}"
                    raise RuntimeError(message)
        except BadTask as error:
            self._outbox.refuse(task_id, str(error))
        except Cancelled:
            pass
        mx.clear_cache()
        self._outbox.step_done()

    def _load(self, task_id: int, path: Path) -> None:
        try:
            loaded = load(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"the model in {path} cannot be loaded ({error!r}): check that its files are whole"
            raise BadTask(message) from error
        adapters = Adapters(loaded.network)
        self._maybe_model = _Model(
            loaded=loaded, adapters=adapters, batches=Batches(loaded, self._duty, self._max_batch_size)
        )
        self._outbox.value(task_id, "loaded")

    def _measure_model(self, alive: Alive, budget_s: float) -> ModelBenchmark:
        loaded, limit = self._model.loaded, self._max_batch_size
        return measure_model(loaded, self._duty, alive, budget_s=budget_s, max_batch_size=limit)

    def _train(self, task_id: int, request: Mapping[str, Any], alive: Alive) -> None:
        task = decode_task(request["task"])
        if not isinstance(task, Train):
            message = f"a {task.kind} task came as training"
            raise TypeError(message)
        file = Path(tempfile.mkdtemp(prefix="adapter-")) / "adapter.tar"
        result = train(
            self._model.loaded,
            self._model.adapters,
            task,
            dataset=Path(request["dataset_path"]),
            adapter=Path(request["adapter_path"]) if request["adapter_path"] else None,
            checkpoint=CheckpointFile(
                Path(request["checkpoint_path"]),
                every_s=request["checkpoint_every_s"],
                warn=self._outbox.warning,
            ),
            output=file,
            duty=self._duty,
            alive=alive,
            on_step=partial(self._outbox.progress, task_id),
        )
        self._outbox.result(task_id, result, file=str(file))

    def _fuse(self, task_id: int, request: Mapping[str, Any], alive: Alive) -> None:
        task = decode_task(request["task"])
        if not isinstance(task, Fuse):
            message = f"a {task.kind} task came to be fused"
            raise TypeError(message)
        file = Path(tempfile.mkdtemp(prefix="fused-")) / "model.tar"
        result = fuse(
            task,
            model=Path(request["model_path"]),
            adapter=Path(request["adapter_path"]),
            output=file,
            duty=self._duty,
            alive=alive,
        )
        self._outbox.result(task_id, result, file=str(file))
