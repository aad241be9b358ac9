"""Executor: the node's side of work. Takes units from homes, keeps the engine full, stores before it answers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, assert_never

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import Blobs, Engine, LocalModel, Result, Sha256
from realign_daemon.engine.codec import decode_result, encode
from realign_daemon.engine.errors import (
    BadTask,
    EndpointGone,
    EngineDied,
    EngineError,
    GroupDied,
    MissingBlob,
    OutOfMemory,
)
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.errors import DamagedBlob
from realign_daemon.work.computed import blobs_of, tokens_of
from realign_daemon.work.ledger import Execution, Ledger, StoredResult
from realign_daemon.work.messages import (
    Abandon,
    Assign,
    Capacity,
    Command,
    Event,
    FailureKind,
    GroupLoss,
    GroupLost,
    Returned,
    Revoke,
    UnitDone,
    UnitFailed,
    UnitProgress,
)
from realign_daemon.work.tray import Item, Meter, Session, Tray

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


DISK_RETRY_S = 10.0  # how soon a full disk is tried again; results wait in memory until then
DISK_FULL = "disk full at {}: free some space"


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
        node_name: str = "",
    ) -> None:
        """Without a name the node is called by its id."""
        self._node_id = node_id
        self._disk_full = DISK_FULL.format(node_name or node_id)
        self._is_stuck = False  # the disk had no room for the last commit
        self._engine = engine
        self._models = models
        self._willingness = willingness
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._fetch_blob = fetch_blob
        self._tray = Tray()
        self._sessions: list[Session] = []
        self._meter = Meter()
        self._model: str = ""
        self._group: GroupWish | None = None  # that holds the model
        self._slots = 1
        self._changed = asyncio.Event()
        self._finished: list[tuple[Item, StoredResult, tuple[Sha256, ...]]] = []
        self._stored = asyncio.Event()

    @property
    def is_working(self) -> bool:
        """True while the engine has a unit of some home."""
        return bool(self._tray.running)

    @property
    def has_units(self) -> bool:
        """True while a unit runs or waits to."""
        return bool(self._tray.running or self._tray.waiting or self._tray.arrived)

    @property
    def is_wanted(self) -> bool:
        """True while some home has an order that this node is planned for."""
        return bool(self._sessions)

    async def run(self) -> None:
        """Performs units until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._store_finished(), name="executor.store")
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._admit()
                while (item := await self._next()) is not None:
                    self._tray.running[item.unit.key] = item
                    item.task = tasks.create_task(self._perform(item), name=f"unit.{item.unit.key[:12]}")
                    item.task.add_done_callback(partial(self._ended, item))

    def open(self, emit: Callable[[Event], None]) -> Session:
        """A new home connection; its first event says what this node can take."""
        session = Session(emit=emit)
        self._sessions.append(session)
        self.refresh()
        return session

    def refresh(self) -> None:
        """Tells every home when what this node can take has changed; gives waiting units back when it takes none."""
        reason = self._objection()
        for session in self._sessions:
            held = self._tray.held_for(session) if self._group is not None else 0
            told = Capacity(slots=self._slots, model=self._model, accepting=not reason, reason=reason, held=held)
            if told != session.told:
                session.told = told
                session.emit(told)
                if reason:
                    session.emit(Returned(keys=self._tray.take_back(session, len(self._tray.waiting))))

    def give_back_running(self) -> None:
        """Stops what runs; its homes have it computed elsewhere, or here later."""
        for item in self._tray.running.values():
            if item.task is not None and not item.task.cancelling():
                item.task.cancel()
                item.session.emit(Returned(keys=(item.unit.key,)))

    def close(self, session: Session) -> None:
        """Forgets what the home had queued. Units already running go on: their results are kept for when it asks."""
        session.is_open = False
        self._sessions.remove(session)
        self._tray.forget(session)

    def handle(self, session: Session, command: Command) -> None:
        """Takes a command of a home."""
        match command:
            case Assign(units=units, model=model, home=home, group=group, batch_size=batch_size):
                session.batch_size = batch_size
                self._tray.arrived.extend(
                    Item(session=session, unit=unit, model=model, home=home, group=group) for unit in units
                )
                self._changed.set()
            case Revoke(count=count):
                session.emit(Returned(keys=self._tray.take_back(session, count)))
            case Abandon():
                self._tray.forget(session)
                for item in self._tray.running.values():
                    if item.session is session and item.task is not None:
                        item.task.cancel()
            case _:
                assert_never(command)

    async def _admit(self) -> None:
        """Answers at once what this node has computed before; queues the rest, or gives it back."""
        asked = {item.unit.key for item in self._tray.arrived}
        known = await self._ledger.results(list(asked))
        # Read again: while the ledger was asked, a home may have given up what it sent, and sent more.
        arrived = self._tray.arrived
        self._tray.arrived = [item for item in arrived if item.unit.key not in asked]
        if is_refusing := bool(self._objection()):
            self.refresh()  # first, lest a home that has not heard of it sends them again
        for item in arrived:
            if item.unit.key not in asked:
                continue
            if item.unit.key in known:
                self._answer(item, known[item.unit.key])
            elif is_refusing and self._tray.under_way(item.unit.key) is None:
                item.session.emit(Returned(keys=(item.unit.key,)))
            elif item.session.is_open:
                self._tray.put(item)

    def _answer(self, item: Item, stored: StoredResult) -> None:
        blobs = blobs_of(decode_result(stored.result))
        item.session.emit(UnitDone(result=stored, remembered=True, blobs=blobs))

    def _objection(self) -> str:
        return self._disk_full if self._is_stuck else self._willingness.reason_to_refuse()

    async def _next(self) -> Item | None:
        """The unit to start now, its model loaded; None when there is none or the engine is full."""
        tray = self._tray
        while (item := tray.first(slots=self._slots, model=self._model, group=self._group)) is not None:
            if not tray.running and not await self._prepare(item):
                continue  # all waiting units of that model have failed
            if tray.waiting and tray.waiting[0] is item:  # loading took time; the home may have taken it back
                return tray.waiting.popleft()
        return None

    async def _prepare(self, item: Item) -> bool:
        """Loads the item's model. When that can't be, it is this node's trouble: all waiting units of it go back."""
        model = self._models.find(item.model)
        if model is None or model.model != item.unit.task.model:
            self._fail_waiting(item.model, "model_missing", f"this node has no weights of {item.model} as pinned")
            return False
        try:
            await self._engine.load(model, item.wish)
        except GroupDied as error:
            self._lose_group(error, item)
            return False
        except OutOfMemory as error:
            self._fail_waiting(item.model, "out_of_memory", str(error))
            return False
        except (EngineError, OSError) as error:
            self._fail_waiting(item.model, "engine_unusable", str(error))
            return False
        if (model.name, item.group) != (self._model, self._group):
            self._model, self._group = model.name, item.group
            slots = self._willingness.slots(model)
            room = item.wish.batch_size if item.wish else 0  # that the group's nodes have looked for
            self._slots = max(1, min(slots, room or slots))
            self.refresh()
        return True

    def _fail_waiting(self, model: str, kind: FailureKind, message: str) -> None:
        log.warning("engine.unusable", model=model, kind=kind, reason=message)
        for item in [item for item in self._tray.waiting if item.model == model]:
            self._tray.waiting.remove(item)
            item.session.emit(UnitFailed(key=item.unit.key, kind=kind, message=message))

    async def _perform(self, item: Item) -> None:
        """One unit, whatever comes of it. Nothing escapes but cancellation."""
        if (computed := await self._compute(item)) is None:
            return
        self._tray.storing[item.unit.key] = item
        confirmation = self._engine.confirmation()
        if confirmation is not None:
            self._make_room(item)
            self.refresh()
            try:
                await confirmation
            except GroupDied as error:
                del self._tray.storing[item.unit.key]
                self.refresh()
                self._lose_group(error, item)
                return
        self._finished.append((item, *computed))
        self._stored.set()

    async def _compute(self, item: Item) -> tuple[StoredResult, tuple[Sha256, ...]] | None:
        """The result and the blobs that it names; None when there is none, which the home has been told."""
        share_s = self._meter.change(+1, self._clock.continuous())
        started_unix_s = self._clock.unix()
        try:
            for sha256 in item.unit.blobs:
                if not self._blobs.has(sha256):
                    await self._fetch_blob(item.home, sha256)
            result = await self._engine.perform(item.unit.task, progress=self._progress(item))
        except GroupDied as error:
            self._lose_group(error, item)
        except EngineDied as error:
            await self._after_death(item, error)
        except BadTask as error:
            await self._fail(item, "bad_unit", str(error))
        except OutOfMemory as error:
            await self._fail(item, "out_of_memory", str(error))
        except (MissingBlob, DamagedBlob, OSError) as error:
            await self._fail(item, "blob_missing", f"a file this unit needs could not be had: {error}")
        except Exception:  # the boundary of a unit: whatever it does must not end the node
            log.exception("unit.crashed", unit=item.unit.key)
            await self._fail(item, "engine_died", "the unit met a defect in realign; that node's log has the details")
        else:
            busy_s = self._meter.change(0, self._clock.continuous()) - share_s
            return self._stored_result(item, result, started_unix_s, busy_s), blobs_of(result)
        finally:
            self._meter.change(-1, self._clock.continuous())
        return None

    def _ended(self, item: Item, _: asyncio.Task[None]) -> None:
        """Not in `_perform`, which never begins when it is cancelled before its first step."""
        self._make_room(item)

    def _make_room(self, item: Item) -> None:
        """Notes that the engine has done with it."""
        if self._tray.running.get(item.unit.key) is item:
            del self._tray.running[item.unit.key]
        self._changed.set()

    def _lose_group(self, error: GroupDied, item: Item) -> None:
        """Gives a unit back, and all that wait for the same group: none of them is to blame."""
        assert item.group is not None, "only a group dies as one"
        self._model, self._group = "", None
        loss = GroupLoss(
            wish=item.group,
            group=error.group,
            lost=error.lost,
            cause=error.cause,
            thrown_away=error.thrown_away,
            worked=error.worked,
        )
        gone = {id(one): one for one in (item, *self._tray.take_of(item.group))}
        for one in gone.values():
            one.session.emit(GroupLost(keys=(one.unit.key,), loss=loss))

    async def _after_death(self, item: Item, error: EngineDied) -> None:
        """A unit that ran by itself is to blame; of several that died together each is tried again by itself.

        That a server which is not ours has gone is no unit's doing; other nodes may get answers from it, or its like.
        """
        self._model = ""
        if isinstance(error, EndpointGone):
            item.session.emit(UnitFailed(key=item.unit.key, kind="engine_unusable", message=str(error)))
        elif item.runs_alone:
            await self._fail(item, "engine_died", str(error))
        elif item.session.is_open:
            self._tray.put_first(item)

    async def _fail(self, item: Item, kind: FailureKind, message: str) -> None:
        log.warning("unit.failed", unit=item.unit.key, kind=kind, message=message)
        now = self._clock.unix()
        attempt = Execution(key=item.unit.key, node=self._node_id, outcome=kind, message=message, ended_unix_s=now)
        await self._committed(partial(self._ledger.note_executions, [attempt], shared=item.home == self._node_id))
        item.session.emit(UnitFailed(key=item.unit.key, kind=kind, message=message))

    def _progress(self, item: Item) -> Callable[[int, int, str], None]:
        def emit(done: int, total: int, note: str) -> None:
            item.session.emit(UnitProgress(key=item.unit.key, done=done, total=total, note=note))

        return emit

    def _stored_result(self, item: Item, result: Result, started_unix_s: float, busy_s: float) -> StoredResult:
        return StoredResult(
            key=item.unit.key,
            kind=result.kind,
            result=encode(result),
            node=self._node_id,
            started_unix_s=started_unix_s,
            busy_s=busy_s,
            tokens=tokens_of(result),
        )

    async def _store_finished(self) -> None:
        """Commits what has finished since the last commit, all at once, and only then tells the homes."""
        while True:
            await self._stored.wait()
            self._stored.clear()
            finished, self._finished = self._finished, []
            results, now = [stored for _, stored, _ in finished], self._clock.unix()
            await self._committed(partial(self._ledger.add_results, results, now_unix_s=now, computed=True))
            for item, *_ in finished:
                del self._tray.storing[item.unit.key]
            self.refresh()  # first, lest a home takes them for held still and gives more than its share
            for item, stored, blobs in finished:
                item.session.emit(UnitDone(result=stored, remembered=False, blobs=blobs))
                for same in self._tray.same_as(stored.key):
                    self._answer(same, stored)
            self._changed.set()

    async def _committed(self, commit: Callable[[], Awaitable[None]]) -> None:
        """Commits. A full disk is waited for, and homes hear of it: what was computed is worth more than the wait."""
        while True:
            try:
                await commit()
            except sqlite3.OperationalError as error:
                log.error("ledger.stuck", reason=str(error), remedy="free some disk space")  # noqa: TRY400 - a state, no surprise
                self._is_stuck = True
                self.refresh()
                await self._clock.sleep(DISK_RETRY_S)
            else:
                break
        if self._is_stuck:
            self._is_stuck = False
            self.refresh()
