"""A home and its nodes in one process: real ledgers and executors, scripted engines and links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from realign_daemon.clock import SystemClock
from realign_daemon.engine.api import (
    Generate,
    LocalModel,
    Message,
    ModelId,
    Result,
    Sampler,
    Task,
)
from realign_daemon.engine.api import Progress as Report
from realign_daemon.engine.errors import BadTask, EngineDied
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher, Order, Outcome, Progress
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import Unit, make_unit

MODEL = LocalModel(
    name="m",
    model=ModelId("m"),
    path=Path("/nowhere"),
    params_b=0.001,
    active_params_b=0.001,
    bits=16,
    weight_bytes=1,
)
SLOTS = 4
DEADLINE_S = 20.0


class OneModel:
    def find(self, name: str) -> LocalModel | None:
        return MODEL if name == MODEL.name else None


class Willing:
    def __init__(self) -> None:
        self.reason = ""

    def reason_to_refuse(self) -> str:
        return self.reason

    def slots(self, model: LocalModel) -> int:
        return SLOTS


class Engine(ScriptedEngine):
    def __init__(self, store: BlobStore, name: str, world: World) -> None:
        super().__init__(store, script=world.script)
        self._name, self._world = name, world
        self.within = 0  # tasks in it now
        self.most_within = 0  # at once, ever
        self.wish: GroupWish | None = None  # of the last load

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        if self._name in self._world.unusable:
            raise EngineDied(model=model.name, cause="it ended with code 1")
        self.wish = group
        await super().load(model, group)

    async def perform(self, task: Task, *, progress: Report | None = None) -> Result:
        self.within += 1
        self.most_within = max(self.most_within, self.within)
        try:
            return await super().perform(task, progress=progress)
        finally:
            self.within -= 1


class World:
    """Nodes "left" (the home) and "right"."""

    def __init__(self, folder: Path) -> None:
        self.databases = {name: Database(folder / f"{name}.sqlite") for name in ("left", "right")}
        self.ledgers = {name: Ledger(database) for name, database in self.databases.items()}
        self.stores = {name: BlobStore(folder / f"{name}-blobs") for name in self.databases}
        self.engines = {name: Engine(store, name, self) for name, store in self.stores.items()}
        self.willing = {name: Willing() for name in self.databases}
        self.executors = {name: self._executor(name, self.engines[name]) for name in self.databases}
        self.links = MemoryLinks(self.executors, self.stores, home="left")
        self.crew: Sequence[Crew] = (
            Crew(node="left", examples_per_s=1.0),
            Crew(node="right", examples_per_s=1.0),
        )
        self.progress: list[Progress] = []
        self.bad: set[str] = set()
        self.unusable: set[str] = set()  # nodes whose engine does not start

    def script(self, task: Task) -> None:
        if isinstance(task, Generate) and task.messages[0].content in self.bad:
            raise BadTask("this question can never be answered")

    def _executor(self, name: str, engine: Engine) -> Executor:
        async def fetch(home: str, sha256: str) -> None:
            raise ConnectionError("no blob is fetched in this simulation")

        return Executor(
            node_id=name,
            engine=engine,
            models=OneModel(),
            willingness=self.willing[name],
            ledger=self.ledgers[name],
            blobs=self.stores[name],
            clock=SystemClock(),
            fetch_blob=fetch,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._turned = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(self._turned.set_result, None)
                await self._turned

    async def until_done(self, count: int) -> None:
        await self.until(lambda: bool(self.progress) and self.progress[-1].done >= count)

    async def run(self, units: Sequence[Unit], *, job: str = "job", is_abandoned: bool = False) -> Outcome:
        dispatcher = Dispatcher(ledger=self.ledgers["left"], connections=self.links, clock=SystemClock())
        order = Order(
            job_id=job,
            stage="stage",
            model=MODEL.name,
            units=tuple(units),
            crew=lambda: self.crew,
            home="left",
            changed=self.progress.append,
            is_abandoned=lambda: is_abandoned,
        )
        async with asyncio.timeout(DEADLINE_S):
            return await dispatcher.run(order)

    def performed(self) -> list[Task]:
        return [task for engine in self.engines.values() for task in engine.performed]


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[World]:
    world = World(folder)
    for database in world.databases.values():
        await database.open()
    tasks = [asyncio.create_task(executor.run()) for executor in world.executors.values()]
    try:
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for database in world.databases.values():
            await database.close()


def question(number: int) -> Unit:
    return make_unit(
        Generate(
            model=MODEL.model,
            messages=(Message(role="user", content=f"question {number}"),),
            sampler=Sampler(max_tokens=8),
            seed=number,
            template="t@1",
        )
    )
