"""Executor: the node's side of work. Takes units from homes, keeps the engine full, stores before it answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Blobs, Engine, LocalModel, Result, Sha256, Train, Trained
from realign_daemon.engine.codec import decode_result, encode
from realign_daemon.engine.errors import BadTask, EngineDied, OutOfMemory
from realign_daemon.work.ledger import Execution, Ledger, StoredResult
from realign_daemon.work.messages import (
    Assign,
    Capacity,
    Command,
    Event,
    FailureKind,
    Returned,
    Revoke,
    UnitDone,
    UnitFailed,
    UnitProgress,
)
from realign_daemon.work.units import Unit, UnitKey

log = structlog.get_logger()

FetchBlob = Callable[[str, Sha256], Awaitable[None]]  # home's node id, hash: puts the blob on local disk


class Models(Protocol):
    """The models on this machine."""

    def find(self, name: str) -> LocalModel | None:
        """The model of this registry name."""
        ...


class Willingness(Protocol):
    """Whether this node takes work now, and how much keeps its engine full."""

    def reason_to_refuse(self) -> str:
        """Empty when the node takes work."""
        ...

    def slots(self, model: LocalModel) -> int:
        """Units in flight that fill the engine."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """A home's connection. Events are put here; at most as many as units it assigned, plus a few."""

    emit: Callable[[Event], None]
    is_open: bool = True


@dataclass(slots=True, kw_only=True, eq=False)
class _Item:
    session: Session  # changes when a home that restarted asks again for what still runs
    unit: Unit
    model: str
    home: str


@dataclass(slots=True, kw_only=True)
class _Meter:
    """Engine time shared among the units that run together: the shares add up to the time the engine was busy."""

    running: int = 0
    share_s: float = 0.0  # what one unit that ran all the time would have been charged
    at_s: float = 0.0

    def change(self, by: int, now_s: float) -> float:
        if self.running:
            self.share_s += (now_s - self.at_s) / self.running
        self.at_s = now_s
        self.running += by
        return self.share_s


@dataclass(slots=True, kw_only=True)
class _Queue:
    arrived: list[_Item] = field(default_factory=list[_Item])  # not yet looked up in the ledger
    waiting: deque[_Item] = field(default_factory=deque[_Item])
    suspects: deque[_Item] = field(default_factory=deque[_Item])  # ran when the engine died; now run alone
    running: dict[UnitKey, _Item] = field(default_factory=dict[UnitKey, _Item])
    storing: dict[UnitKey, _Item] = field(default_factory=dict[UnitKey, _Item])  # computed, not yet durable


class Executor:
    """Runs units on this node's engine, for any number of homes. `run` must be running for anything to happen."""

    def __init__(
        self,
        *,
        node_id: str,
        engine: Engine,
        models: Models,
        willingness: Willingness,
        ledger: Ledger,
        blobs: Blobs,
        clock: Clock,
        fetch_blob: FetchBlob,
    ) -> None:
        self._node_id = node_id
        self._engine = engine
        self._models = models
        self._willingness = willingness
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._fetch_blob = fetch_blob
        self._queue = _Queue()
        self._sessions: list[Session] = []
        self._told: Capacity | None = None
        self._meter = _Meter()
        self._model: str = ""
        self._slots = 1
        self._changed = asyncio.Event()
        self._finished: list[tuple[_Item, StoredResult, tuple[Sha256, ...]]] = []
        self._stored = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """True while units run or wait here."""
        return bool(self._queue.running or self._queue.waiting or self._queue.suspects)

    async def run(self) -> None:
        """Performs units until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._store_finished(), name="executor.store")
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._admit()
                while (item := await self._next()) is not None:
                    self._queue.running[item.unit.key] = item
                    tasks.create_task(self._perform(item), name=f"unit.{item.unit.key[:12]}")

    def open(self, emit: Callable[[Event], None]) -> Session:
        """A new home connection; its first event says what this node can take."""
        session = Session(emit=emit)
        self._sessions.append(session)
        emit(self._capacity())
        return session

    def refresh(self) -> None:
        """Tells every home when what this node can take has changed; gives waiting units back when it takes none."""
        capacity = self._capacity()
        if capacity == self._told:
            return
        self._told = capacity
        for session in self._sessions:
            session.emit(capacity)
            if not capacity.accepting:
                session.emit(Returned(keys=self._take_back(session, len(self._queue.waiting))))

    def close(self, session: Session) -> None:
        """Forgets what the home had queued. Units already running go on: their results are kept for when it asks."""
        session.is_open = False
        self._sessions.remove(session)
        for items in (self._queue.arrived, self._queue.waiting, self._queue.suspects):
            kept = [item for item in items if item.session is not session]
            items.clear()
            items.extend(kept)

    def handle(self, session: Session, command: Command) -> None:
        """Takes a command of a home."""
        match command:
            case Assign(units=units, model=model, home=home):
                self._queue.arrived.extend(_Item(session=session, unit=u, model=model, home=home) for u in units)
                self._changed.set()
            case Revoke(count=count):
                session.emit(Returned(keys=self._take_back(session, count)))

    async def _admit(self) -> None:
        """Answers at once what this node has computed before; queues the rest."""
        arrived, self._queue.arrived = self._queue.arrived, []
        known = await self._ledger.results([item.unit.key for item in arrived])
        for item in arrived:
            if item.unit.key in known:
                self._answer(item, known[item.unit.key])
            elif item.session.is_open:
                self._take(item)

    def _answer(self, item: _Item, stored: StoredResult) -> None:
        blobs = _blobs(decode_result(stored.result))
        item.session.emit(UnitDone(result=stored, remembered=True, blobs=blobs))

    def _take(self, item: _Item) -> None:
        """Queues a unit, unless it is being computed for a connection that has gone: then the answer goes here."""
        active = self._queue.running.get(item.unit.key) or self._queue.storing.get(item.unit.key)
        if active is not None and not active.session.is_open:
            active.session = item.session
        else:
            self._queue.waiting.append(item)

    def _take_back(self, session: Session, count: int) -> tuple[UnitKey, ...]:
        mine = [item for item in self._queue.waiting if item.session is session][-count:] if count > 0 else []
        for item in mine:
            self._queue.waiting.remove(item)
        return tuple(item.unit.key for item in mine)

    def _capacity(self) -> Capacity:
        reason = self._willingness.reason_to_refuse()
        return Capacity(slots=self._slots, model=self._model, accepting=not reason, reason=reason)

    async def _next(self) -> _Item | None:
        """The unit to start now, its model loaded; None when there is none or the engine is full."""
        queue = self._queue
        if queue.suspects:
            return queue.suspects.popleft() if not queue.running else None
        if not queue.waiting or len(queue.running) >= self._slots:
            return None
        if queue.waiting[0].unit.key in queue.running or queue.waiting[0].unit.key in queue.storing:
            return None  # another home asked for the same: its end wakes us, and then the result is remembered
        item = queue.waiting[0]
        is_alone = isinstance(item.unit.task, Train) or any(
            isinstance(running.unit.task, Train) for running in queue.running.values()
        )
        if queue.running and (is_alone or item.model != self._model):
            return None
        if not queue.running and not await self._prepare(item):
            return await self._next()
        return queue.waiting.popleft() if queue.waiting and queue.waiting[0] is item else await self._next()

    async def _prepare(self, item: _Item) -> bool:
        """Loads the item's model. When that can't be, fails all its waiting units and says False."""
        model = self._models.find(item.model)
        if model is None or model.model != item.unit.task.model:
            self._fail_waiting(item.model, "model_missing", f"this node has no weights of {item.model} as pinned")
            return False
        try:
            await self._engine.load(model)
        except OutOfMemory as error:
            self._fail_waiting(item.model, "out_of_memory", str(error))
            return False
        except EngineDied as error:
            self._fail_waiting(item.model, "engine_died", str(error))
            return False
        if model.name != self._model:
            self._model, self._slots = model.name, max(1, self._willingness.slots(model))
            self.refresh()
        return True

    def _fail_waiting(self, model: str, kind: FailureKind, message: str) -> None:
        for item in [item for item in self._queue.waiting if item.model == model]:
            self._queue.waiting.remove(item)
            item.session.emit(UnitFailed(key=item.unit.key, kind=kind, message=message))

    async def _perform(self, item: _Item) -> None:
        """One unit, whatever comes of it. Nothing escapes but cancellation."""
        was_alone = len(self._queue.running) == 1
        share_s = self._meter.change(+1, self._clock.continuous())
        started_unix_s = self._clock.unix()
        try:
            for sha256 in item.unit.blobs:
                if not self._blobs.has(sha256):
                    await self._fetch_blob(item.home, sha256)
            result = await self._engine.perform(item.unit.task, progress=self._progress(item))
        except EngineDied as error:
            await self._after_death(item, was_alone=was_alone, message=str(error))
        except BadTask as error:
            await self._fail(item, "bad_unit", str(error))
        except OutOfMemory as error:
            await self._fail(item, "out_of_memory", str(error))
        except OSError as error:
            await self._fail(item, "blob_missing", f"a file this unit needs could not be had: {error}")
        else:
            busy_s = self._meter.change(0, self._clock.continuous()) - share_s
            self._queue.storing[item.unit.key] = item
            self._finished.append((item, self._stored_result(item, result, started_unix_s, busy_s), _blobs(result)))
            self._stored.set()
        finally:
            self._meter.change(-1, self._clock.continuous())
            self._queue.running.pop(item.unit.key, None)
            self._changed.set()

    async def _after_death(self, item: _Item, *, was_alone: bool, message: str) -> None:
        """A unit that died alone is to blame; of several that died together each is tried again by itself."""
        self._model = ""
        if was_alone:
            await self._fail(item, "engine_died", message)
        elif item.session.is_open:
            self._queue.suspects.append(item)

    async def _fail(self, item: _Item, kind: FailureKind, message: str) -> None:
        log.warning("unit.failed", unit=item.unit.key, kind=kind, message=message)
        now = self._clock.unix()
        await self._ledger.note_executions(
            [Execution(key=item.unit.key, node=self._node_id, outcome=kind, message=message, ended_unix_s=now)]
        )
        item.session.emit(UnitFailed(key=item.unit.key, kind=kind, message=message))

    def _progress(self, item: _Item) -> Callable[[int, int, str], None]:
        def emit(done: int, total: int, note: str) -> None:
            item.session.emit(UnitProgress(key=item.unit.key, done=done, total=total, note=note))

        return emit

    def _stored_result(self, item: _Item, result: Result, started_unix_s: float, busy_s: float) -> StoredResult:
        return StoredResult(
            key=item.unit.key,
            kind=result.kind,
            result=encode(result),
            node=self._node_id,
            started_unix_s=started_unix_s,
            busy_s=busy_s,
            tokens=_tokens(result),
        )

    async def _store_finished(self) -> None:
        """Commits what has finished since the last commit, all at once, and only then tells the homes."""
        while True:
            await self._stored.wait()
            self._stored.clear()
            finished, self._finished = self._finished, []
            await self._ledger.add_results(
                (stored for _, stored, _ in finished), now_unix_s=self._clock.unix(), computed=True
            )
            for item, stored, blobs in finished:
                del self._queue.storing[item.unit.key]
                item.session.emit(UnitDone(result=stored, remembered=False, blobs=blobs))
                for same in [waiting for waiting in self._queue.waiting if waiting.unit.key == stored.key]:
                    self._queue.waiting.remove(same)  # another home asked for it, too
                    self._answer(same, stored)
            self._changed.set()


def _tokens(result: Result) -> int:
    match result.kind:
        case "generated":
            return result.prompt_tokens + result.completion_tokens
        case "filled":
            return result.prompt_tokens + len(result.probabilities)
        case "scored":
            return result.tokens
        case "trained":
            return result.trained_tokens


def _blobs(result: Result) -> tuple[Sha256, ...]:
    return (result.adapter,) if isinstance(result, Trained) else ()
