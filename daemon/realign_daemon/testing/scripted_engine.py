"""ScriptedEngine: an Engine without a model, for tests of what uses one. It passes the real engine's contract suite."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import assert_never

from realign_daemon.engine.api import (
    BatchPoint,
    Blobs,
    ComputeBenchmark,
    EngineStatus,
    Fill,
    Filled,
    Fuse,
    Fused,
    Generate,
    Generated,
    LocalModel,
    ModelBenchmark,
    Progress,
    Render,
    Rendered,
    Result,
    Score,
    Scored,
    Sha256,
    Task,
    Train,
    Trained,
    TrainPoint,
)
from realign_daemon.engine.codec import encode
from realign_daemon.engine.errors import BadTask, EngineDied, GroupDied, MissingBlob, NotLoaded, OutOfMemory
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.engine.schema import Choice, Items, Record, Schema, SchemaError, Text, Whole, parse, written

Script = Callable[[Task], Result | None]  # None: the default result; raise BadTask to refuse
_PID = 4_194_305  # one more than the highest that Linux gives: nothing can be hit by it
_PLENTY_BYTES = 2**40


class ScriptedEngine:
    """Results follow from the task (its canonical bytes) alone, so equal tasks have equal results.

    Time never passes in it: `hold` keeps tasks in flight until `release`.
    """

    def __init__(
        self,
        blobs: Blobs,
        script: Script = lambda _: None,
        *,
        free_bytes: int = _PLENTY_BYTES,
        examples_per_s: float = 10.0,
    ) -> None:
        """`script` gives the results it cares about; `examples_per_s` is what its benchmark says at batch size 8."""
        self.performed: list[Task] = []  # every task that got a result, in order
        self._blobs, self._script, self._free_bytes, self._examples_per_s = blobs, script, free_bytes, examples_per_s
        self._model: LocalModel | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._ends: set[asyncio.Future[None]] = set()
        self._deadly: list[tuple[Callable[[Task], bool], int]] = []
        self._last_error = ""
        self._group: GroupWish | None = None
        self._groups = 0  # formed so far
        self._loss: GroupDied | None = None

    def hold(self) -> None:
        """From now on tasks stay in flight."""
        self._open.clear()

    def release(self) -> None:
        """Lets all tasks go on."""
        self._open.set()

    def die_on(self, predicate: Callable[[Task], bool], *, times: int = 1) -> None:
        """The engine dies under the next `times` tasks that the predicate is true for."""
        self._deadly.append((predicate, times))

    def die(self, cause: str = "killed by SIGKILL") -> None:
        """The engine dies now, under everything in flight."""
        self._last_error = cause
        self._drop()

    def lose_group(self, *, lost: tuple[str, ...], cause: str = "its node is gone") -> None:
        """The group that holds the model is no more; tasks in flight hear of it."""
        self._loss = GroupDied(model="", group=f"scripted-{self._groups}", lost=lost, cause=cause)
        self._drop()

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        """See Engine."""
        if self._model is not None and (self._model.model, self._group) == (model.model, group):
            return
        self._drop()
        self._group, self._loss = group, None
        self._groups += group is not None
        if model.weight_bytes > self._free_bytes:
            raise OutOfMemory(model=model.name, needed_bytes=model.weight_bytes, free_bytes=self._free_bytes)
        self._model, self._last_error = model, ""

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        """See Engine."""
        if self._loss is not None:
            raise self._loss
        if self._model is None or self._model.model != task.model:
            raise NotLoaded(model=task.model)
        for blob in (task.adapter, task.dataset if isinstance(task, Train) else None):
            if blob is not None and not self._blobs.has(blob):
                raise MissingBlob(sha256=blob)
        await self._in_flight(self._model.name)
        if self._is_deadly(task):
            self.die()
            raise self._death(task.model)
        result = self._script(task) or self._default(task)
        if isinstance(task, Train) and progress is not None:
            for step in range(1, task.settings.steps + 1):
                progress(step, task.settings.steps, "")
        self.performed.append(task)
        return result

    def confirmation(self) -> Awaitable[None] | None:
        """See Engine."""
        return None

    async def unload(self, cause: str) -> None:
        """See OwnEngine: nothing is in memory."""

    async def benchmark_model(self, model: LocalModel, *, budget_s: float) -> ModelBenchmark:  # noqa: ARG002
        """See Engine."""
        await self.load(model)
        best = self._examples_per_s
        points = ((1, best / 4), (8, best), (16, best))
        return ModelBenchmark(
            prefill_tps=640 * best,
            decode_tps=32 * best,
            peak_batch_size=8,
            examples_per_s=best,
            points=tuple(
                BatchPoint(batch_size=size, decode_tps=32 * speed, examples_per_s=speed) for size, speed in points
            ),
            noisy=False,
        )

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:  # noqa: ARG002
        """See Engine."""
        return ComputeBenchmark(gflops={"float32": 100.0, "bfloat16": 100.0}, bandwidth_gbs=10.0, noisy=False)

    def status(self) -> EngineStatus:
        """See Engine."""
        if self._model is None:
            return EngineStatus(state="failed" if self._last_error else "absent", last_error=self._last_error)
        state = "busy" if self._ends else "ready"
        return EngineStatus(state=state, model=self._model.name, pid=_PID, rss_bytes=self._model.weight_bytes)

    async def close(self) -> None:
        """See Engine."""
        self._drop()

    async def _in_flight(self, model: str) -> None:
        """Until released; EngineDied when the engine ends before."""
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        opened = asyncio.ensure_future(self._open.wait())
        self._ends.add(end)
        try:
            await asyncio.wait({end, opened}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                raise self._death(model)
        finally:
            opened.cancel()
            self._ends.discard(end)

    def _drop(self) -> None:
        self._model = None
        for end in self._ends:
            if not end.done():
                end.set_result(None)

    def _death(self, model: str) -> EngineDied:
        return self._loss or EngineDied(model=model, cause=self._last_error or "the engine was ended")

    def _is_deadly(self, task: Task) -> bool:
        for index, (predicate, times) in enumerate(self._deadly):
            if times > 0 and predicate(task):
                self._deadly[index] = (predicate, times - 1)
                return True
        return False

    def _default(self, task: Task) -> Result:
        match task:
            case Generate():
                return _generated(task)
            case Fill():
                return _filled(task)
            case Score():
                length = len(task.completion) + 1
                return Scored(logprob=-length * (1 + _chance(task) / 10), tokens=length)
            case Train():
                return self._trained(task)
            case Render():
                return _rendered(task)
            case Fuse():
                return Fused(weights=self._blobs.put_bytes(encode(task)), answers=tuple(map(_generated, task.prompts)))
            case _:
                assert_never(task)

    def _trained(self, task: Train) -> Trained:
        """A run whose loss falls; its adapter has the real one's form and the task's hash for weights."""
        rows = _rows(self._blobs, task)
        steps, every = task.settings.steps, task.settings.evaluate_every
        losses = tuple(1 / (1 + step) for step in range(steps))
        held_out = sum(row["split"] == "valid" for row in rows)
        points = tuple(
            TrainPoint(
                step=step,
                train_loss=losses[step - 1],
                valid_loss=losses[step - 1] if held_out else None,
                reward_accuracy=1.0 if held_out and task.method == "dpo" else None,
                reward_margin=0.5 if held_out and task.method == "dpo" else None,
                chosen_logratio=0.1 if held_out and task.method == "dpo" else None,
            )
            for step in range(1, steps + 1)
            if step % every == 0 or step == steps
        )
        return Trained(
            adapter=self._blobs.put_bytes(_adapter(task)),
            steps=steps,
            points=points,
            step_losses=losses,
            valid_margins=(0.5,) * held_out if task.method == "dpo" else (),
            trained_tokens=steps * task.settings.batch_size,
        )


def _chance(task: Task) -> float:
    """A number in [0, 1) that follows from the task; seeds of greedy tasks make no difference."""
    if isinstance(task, Generate) and task.sampler.temperature == 0:
        task = replace(task, seed=0)
    return int.from_bytes(hashlib.sha256(encode(task)).digest()[:6], "big") / 2**48


def _generated(task: Generate) -> Generated:
    """Up to four words and an end, or what fits the schema; every word is a token."""
    sampler = task.sampler
    if sampler.temperature < 0 or not 0 < sampler.top_p <= 1 or sampler.max_tokens < 1:
        raise BadTask(f"{sampler} cannot draw")
    chance = _chance(task)
    words = [f"word{int(chance * 10**6) + place}" for place in range(1 + int(chance * 4))]
    if task.schema is not None:
        words = [_fitting(task.schema, words)]
    ends = len(words) < sampler.max_tokens
    tokens = min(len(words) + 1, sampler.max_tokens)
    return Generated(
        text=" ".join(words[: sampler.max_tokens]),
        finish_reason="stop" if ends else "length",
        prompt_tokens=sum(len(message.content.split()) for message in task.messages) + 1,
        completion_tokens=tokens,
        logprob=-tokens * (0.1 + chance),
    )


def _fitting(schema: str, words: list[str]) -> str:
    """An answer that fits the schema; its strings begin with the words, and then repeat them."""
    try:
        return written(_value(parse(schema), " ".join(words)))
    except SchemaError as error:
        raise BadTask(str(error)) from error


def _value(schema: Schema, text: str) -> object:
    match schema:
        case Text():
            return (text * (1 + schema.least // len(text)))[: schema.most]
        case Whole():
            return schema.least + len(text) % (1 + schema.most - schema.least)
        case Choice():
            return json.loads(schema.values[len(text) % len(schema.values)])
        case Items():
            return [_value(schema.item, text)] * max(schema.least, min(1, schema.most))
        case Record():
            return {name: _value(field, text) for name, field in schema.fields}
        case _:
            assert_never(schema)


def _rendered(task: Render) -> Rendered:
    """Every word is a token, and every row comes back."""
    if not task.messages or task.messages[-1].role != "assistant":
        raise BadTask("a row ends with the assistant's turn")
    *before, answer = [len(message.content.split()) + 1 for message in task.messages]
    return Rendered(prompt_tokens=sum(before) + 1, completion_tokens=answer, problem="")


def _filled(task: Fill) -> Filled:
    """Weights of the choices from the task's hash; a choice is a token when it is one character."""
    if not task.form:
        raise BadTask("the form has no slot")
    for slot in task.form:
        if not slot.choices or len(set(slot.choices)) < len(slot.choices) or any(len(c) != 1 for c in slot.choices):
            raise BadTask(f"the choices {slot.choices!r} are not one token each")
    chance = _chance(task)
    probabilities = tuple(_shares(chance, len(slot.choices)) for slot in task.form)
    mass = tuple(0.5 + chance / 2 for _ in task.form)
    return Filled(probabilities=probabilities, mass=mass, prompt_tokens=1 + len(task.messages))


def _shares(chance: float, count: int) -> tuple[float, ...]:
    weights = [1 + (chance * (place + 1)) % 1 for place in range(count)]
    return tuple(weight / sum(weights) for weight in weights)


def _rows(blobs: Blobs, task: Train) -> list[dict[str, object]]:
    try:
        lines = blobs.path(Sha256(task.dataset)).read_text().splitlines()
        rows: list[dict[str, object]] = [json.loads(line) for line in lines if line.strip()]
        if not any(row["split"] == "train" for row in rows):
            raise BadTask(f"data set {task.dataset} has no row of split train")
    except (ValueError, KeyError, TypeError) as error:
        raise BadTask(f"data set {task.dataset} has a line that is no row ({error!r})") from error
    return rows


def _adapter(task: Train) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in (
            ("adapter_config.json", b"{}"),
            ("adapters.safetensors", hashlib.sha256(encode(task)).digest()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
