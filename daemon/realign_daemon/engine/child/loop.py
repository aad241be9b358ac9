"""Loop: takes requests, gives adapters their turns, and answers. The main thread of the child."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import mlx.core as mx

from realign_daemon.engine.api import Fuse, ModelBenchmark, Score, Train
from realign_daemon.engine.child.batches import Batches
from realign_daemon.engine.child.canary import sing
from realign_daemon.engine.child.checkpoint import CheckpointFile
from realign_daemon.engine.child.divided import DividedAdapters
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.forward import full_pass_s
from realign_daemon.engine.child.fuse import fuse
from realign_daemon.engine.child.load import Loaded, load
from realign_daemon.engine.child.lora import Adapters
from realign_daemon.engine.child.measure import measure_compute, measure_model
from realign_daemon.engine.child.objective import Alive
from realign_daemon.engine.child.outbox import Outbox
from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.child.train import train
from realign_daemon.engine.child.turns import Turn, Waiting, admitted, open_turn
from realign_daemon.engine.codec import decode_task
from realign_daemon.engine.errors import BadTask


class Cancelled(Exception):
    """Nobody waits any more for what runs alone."""


class Requests(Protocol):
    """Where requests come from: this process's own Inbox, or one that all ranks of a group see alike."""

    def take(self, *, wait: bool) -> list[dict[str, Any]]:
        """All requests that have come; with `wait` at least one."""
        ...

    def is_cancelled(self, task_id: int) -> bool:
        """Whether nobody waits for this task any more."""
        ...

    def forget(self, task_id: int) -> None:
        """The cancellation has been obeyed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    loaded: Loaded
    adapters: Adapters | DividedAdapters
    batches: Batches


class Loop:
    """Serves until the process ends. An exception that gets out of here is a crash, and the daemon explains it.

    The ranks of a group run the very same loop over the same requests, and so meet in the same collectives.
    """

    def __init__(
        self,
        inbox: Requests,
        outbox: Outbox,
        peers: Peers,
        *,
        folder: Path | None,
        duty_fraction: float,
        max_batch_size: int,
    ) -> None:
        """At most `max_batch_size` tasks in one batch of any kind; a rank of a group has its model in `folder`."""
        self._inbox, self._outbox, self._peers, self._folder = inbox, outbox, peers, folder
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
        if idle:
            self._outbox.rests()
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
            self._swap(self._requests[oldest.task_id])
        except BadTask as error:
            self._waiting.remove(oldest)
            self._outbox.refuse(oldest.task_id, str(error))
            return
        self._turn = open_turn(self._waiting)

    def _swap(self, request: Mapping[str, Any]) -> None:
        """Leaves the adapter of a request on the model, or none."""
        adapters, wanted = self._model.adapters, request["adapter"]
        if wanted in ("", adapters.attached):
            adapters.swap(wanted, None)
        else:
            with self._peers.shared_file(Path(request["adapter_path"])) as blob:
                adapters.swap(wanted, blob)
        self._tell_memory()

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
            self._answer_alone(task_id, request, alive)
        except BadTask as error:
            self._outbox.refuse(task_id, str(error))
        except Cancelled:
            pass
        mx.clear_cache()
        self._outbox.step_done()

    def _answer_alone(self, task_id: int, request: Mapping[str, Any], alive: Alive) -> None:
        self._require_possible(request["op"])
        match request["op"]:
            case "load":
                self._load(task_id, self._folder or Path(request["path"]))
            case "canary":
                self._sing(task_id, request, alive)
            case "train":
                self._train(task_id, request, alive)
            case "fuse":
                self._fuse(task_id, request, alive)
            case "benchmark_model":
                self._outbox.value(task_id, asdict(self._measure_model(alive, request["budget_s"])))
            case "benchmark_compute":
                self._outbox.value(task_id, asdict(measure_compute(self._duty, alive, budget_s=request["budget_s"])))
            case unknown:
                message = f"unknown request {unknown!r}"
                raise RuntimeError(message)

    def _require_possible(self, op: str) -> None:
        """Raises BadTask for what a group cannot do."""
        if self._peers.is_alone:
            return
        if op in ("fuse", "benchmark_compute"):
            message = f"{op} is the work of one machine, not of a group: ask an engine that computes alone"
            raise BadTask(message)
        if op == "train" and self._peers.parallelism != "data":
            message = "a model that is divided over machines cannot be trained: use one that each of them holds whole"
            raise BadTask(message)

    def _load(self, task_id: int, folder: Path) -> None:
        problem = ""
        try:
            self._maybe_model = self._opened(folder)
        except BadTask as error:
            problem = str(error)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"the model in {folder} cannot be loaded ({error!r}): check that its files are whole"
        problem = self._peers.first_word(problem)
        if problem:
            raise BadTask(problem)
        self._tell_memory()
        self._outbox.value(task_id, 0.0 if self._peers.is_alone else full_pass_s(self._model.loaded, self._duty))

    def _opened(self, folder: Path) -> _Model:
        on_weight = self._outbox.step_done
        loaded = load(folder, self._peers, on_weight)
        adapters: Adapters | DividedAdapters = Adapters(loaded.network)
        if self._peers.parallelism in ("tensor", "pipeline"):
            adapters = DividedAdapters(loaded.network, folder, self._peers, on_weight)
        batches = Batches(loaded, self._duty, self._max_batch_size)
        return _Model(loaded=loaded, adapters=adapters, batches=batches)

    def _tell_memory(self) -> None:
        self._outbox.holding(mx.get_active_memory(), self._model.loaded.weight_bytes)

    def _sing(self, task_id: int, request: Mapping[str, Any], alive: Alive) -> None:
        tasks = [decode_task(task) for task in request["tasks"]]
        self._swap(request)
        found = sing(self._model.loaded, cast("list[Score]", tasks), alive)
        self._outbox.canary(task_id, found)
        self._outbox.value(task_id, found)

    def _measure_model(self, alive: Alive, budget_s: float) -> ModelBenchmark:
        loaded, limit = self._model.loaded, self._max_batch_size
        return measure_model(loaded, self._duty, alive, budget_s=budget_s, max_batch_size=limit)

    def _train(self, task_id: int, request: Mapping[str, Any], alive: Alive) -> None:
        task = decode_task(request["task"])
        if not isinstance(task, Train):
            message = f"a {task.kind} task came as training"
            raise TypeError(message)
        file = Path(tempfile.mkdtemp(prefix="adapter-")) / "adapter.tar"
        with ExitStack() as files:
            adapter = request["adapter_path"]
            result = train(
                self._model.loaded,
                cast("Adapters", self._model.adapters),
                task,
                dataset=files.enter_context(self._peers.shared_file(Path(request["dataset_path"]))),
                adapter=files.enter_context(self._peers.shared_file(Path(adapter))) if adapter else None,
                checkpoint=CheckpointFile(
                    Path(request["checkpoint_path"]),
                    every_s=request["checkpoint_every_s"],
                    warn=self._outbox.warning,
                    peers=self._peers,
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
