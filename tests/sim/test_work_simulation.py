"""Simulation of a home and its nodes in one process: real ledgers and executors, scripted engines and links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realign_daemon.clock import SystemClock
from realign_daemon.engine.api import (
    Generate,
    LocalModel,
    Message,
    ModelId,
    Result,
    Sampler,
    Sha256,
    Task,
    Train,
    TrainSettings,
)
from realign_daemon.engine.codec import encode
from realign_daemon.engine.errors import BadTask, EngineDied
from realign_daemon.engine.ranks import GroupWish
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher, Order, Outcome, Progress
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger, StoredResult
from realign_daemon.work.messages import Assign, Capacity, Event, Returned, UnitDone
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

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        if self._name in self._world.unusable:
            raise EngineDied(model=model.name, cause="it ended with code 1")
        await super().load(model, group)


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


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as built:
        yield built


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


async def test_both_nodes_work_and_every_unit_is_computed_once(world: World) -> None:
    units = [question(number) for number in range(60)]
    outcome = await world.run(units)
    assert set(outcome.results) == {unit.key for unit in units}
    assert len(world.performed()) == len(units)
    assert all(engine.performed for engine in world.engines.values())


async def test_running_again_computes_nothing(world: World) -> None:
    units = [question(number) for number in range(20)]
    first = await world.run(units)
    computed = len(world.performed())
    assert (await world.run(units, job="another")).results == first.results
    assert len(world.performed()) == computed


async def test_the_units_of_a_lost_node_go_to_the_other(world: World) -> None:
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(30)]))
    await world.until_done(10)
    world.links.cut("right")
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    outcome = await order
    assert len(outcome.results) == 30
    assert not world.engines["right"].performed


async def test_what_a_node_finished_while_it_was_cut_off_is_not_computed_again(world: World) -> None:
    world.crew = (Crew(node="right", examples_per_s=1.0),)
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(3)]))
    await world.until(lambda: world.engines["right"].status().state == "busy")
    world.links.cut("right")
    world.engines["right"].release()
    world.links.heal("right")
    outcome = await order
    assert len(outcome.results) == 3
    assert len(world.engines["right"].performed) == 3


async def test_an_engine_that_dies_once_costs_a_retry_and_nothing_else(world: World) -> None:
    world.engines["left"].die_on(lambda task: isinstance(task, Generate) and task.seed == 3)
    world.engines["right"].die_on(lambda task: isinstance(task, Generate) and task.seed == 3)
    outcome = await world.run([question(number) for number in range(12)])
    assert len(outcome.results) == 12
    assert outcome.quarantined == {}


async def test_a_poison_unit_is_given_up_and_the_others_are_not_blamed(world: World) -> None:
    for engine in world.engines.values():
        engine.die_on(lambda task: isinstance(task, Generate) and task.seed == 5, times=1_000)
    units = [question(number) for number in range(16)]
    outcome = await world.run(units)
    assert set(outcome.quarantined) == {question(5).key}
    assert len(outcome.results) == 15


async def test_a_poison_unit_is_tried_on_two_nodes(world: World) -> None:
    for engine in world.engines.values():
        engine.die_on(lambda task: isinstance(task, Generate) and task.seed == 5, times=1_000)
    await world.run([question(5)])
    failures = await world.ledgers["left"].failures([question(5).key])
    assert set(failures[question(5).key]) == {"left", "right"}


async def test_the_innocent_of_a_batch_that_died_run_again_by_themselves_and_are_not_counted_against(
    world: World,
) -> None:
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    world.engines["left"].die_on(lambda task: isinstance(task, Generate) and task.seed == 2)
    units = [question(number) for number in range(SLOTS)]
    assert len((await world.run(units)).results) == SLOTS
    assert await world.ledgers["left"].failures([unit.key for unit in units]) == {}


async def test_an_engine_that_cannot_start_costs_no_unit_an_attempt(world: World) -> None:
    world.unusable = {"left"}
    outcome = await world.run([question(number) for number in range(8)])
    assert len(outcome.results) == 8
    assert not world.engines["left"].performed
    assert await world.ledgers["left"].failures(list(outcome.results)) == {}


async def test_a_unit_with_a_blob_name_that_is_no_hash_harms_nobody(world: World) -> None:
    bad = make_unit(
        Generate(
            model=MODEL.model,
            adapter=Sha256("../../etc/passwd"),
            messages=(Message(role="user", content="x"),),
            sampler=Sampler(max_tokens=8),
            seed=1,
            template="t@1",
        )
    )
    outcome = await world.run([bad, question(1)])
    assert set(outcome.quarantined) == {bad.key}
    assert set(outcome.results) == {question(1).key}


async def test_an_abandoned_order_stops_what_runs(world: World) -> None:
    world.engines["left"].hold()
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(8)], is_abandoned=True))
    await world.until(lambda: any(executor.is_working for executor in world.executors.values()))
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
    await world.until(lambda: not any(executor.is_working for executor in world.executors.values()))
    assert world.performed() == []


async def test_an_interrupted_order_leaves_running_what_runs(world: World) -> None:
    world.engines["left"].hold()
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    order = asyncio.create_task(world.run([question(1)]))
    await world.until(lambda: world.executors["left"].is_working)
    order.cancel()
    await asyncio.gather(order, return_exceptions=True)
    world.engines["left"].release()
    await world.until(lambda: len(world.performed()) == 1)
    assert len((await world.run([question(1)])).results) == 1
    assert len(world.performed()) == 1


async def test_what_a_job_gave_up_is_tried_again_once_it_is_forgiven(world: World) -> None:
    world.bad.add("question 1")
    await world.run([question(1)])
    world.bad.clear()
    await world.ledgers["left"].forgive("job", ["stage"])
    assert set((await world.run([question(1)])).results) == {question(1).key}


async def test_a_task_that_can_never_work_is_given_up_at_once(world: World) -> None:
    world.bad.add("question 1")
    outcome = await world.run([question(1), question(2)])
    assert outcome.quarantined == {question(1).key: "this question can never be answered"}
    assert set(outcome.results) == {question(2).key}


async def test_a_job_does_not_try_again_what_it_has_given_up(world: World) -> None:
    world.bad.add("question 1")
    await world.run([question(1)])
    world.bad.clear()
    assert (await world.run([question(1)])).results == {}
    assert set((await world.run([question(1)], job="another")).results) == {question(1).key}


async def test_a_node_that_refuses_gets_nothing(world: World) -> None:
    world.willing["right"].reason = "it runs on a battery that is 10% full"
    outcome = await world.run([question(number) for number in range(10)])
    assert len(outcome.results) == 10
    assert not world.engines["right"].performed


async def test_an_order_waits_and_says_why_when_no_node_takes_work(world: World) -> None:
    world.willing["left"].reason = "it is measuring itself"
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    order = asyncio.create_task(world.run([question(1)]))
    await world.until(lambda: any("measuring" in progress.waiting_because for progress in world.progress))
    world.willing["left"].reason = ""
    world.executors["left"].refresh()
    assert len((await order).results) == 1


async def test_a_node_that_is_paused_gives_back_what_waits_and_what_runs_too_long(world: World) -> None:
    world.engines["right"].hold()
    order = asyncio.create_task(world.run([question(number) for number in range(40)]))
    await world.until(lambda: world.executors["right"].is_working)
    world.willing["right"].reason = "its owner has paused it"
    world.executors["right"].refresh()
    await world.until_done(40 - SLOTS)
    assert world.executors["right"].is_working
    world.executors["right"].give_back_running()
    assert len((await order).results) == 40
    assert not world.engines["right"].performed
    assert not world.executors["right"].has_units
    assert len(world.engines["left"].performed) == 40


async def test_what_comes_to_a_node_that_has_just_begun_to_refuse_is_given_back_unless_it_runs_there(
    world: World,
) -> None:
    events: list[Event] = []
    world.engines["left"].hold()
    before = world.executors["left"].open(lambda _: None)
    world.executors["left"].handle(before, Assign(units=(question(1),), model=MODEL.name, home="left"))
    await world.until(lambda: world.executors["left"].is_working)
    world.executors["left"].close(before)
    again = world.executors["left"].open(events.append)
    world.willing["left"].reason = "its owner has paused it"
    units = (question(1), question(2))
    world.executors["left"].handle(again, Assign(units=units, model=MODEL.name, home="left"))
    await world.until(lambda: Returned(keys=(question(2).key,)) in events)
    world.engines["left"].release()
    await world.until(lambda: isinstance(events[-1], UnitDone))
    kinds = [type(event) for event in events if not isinstance(event, Returned) or event.keys]
    assert kinds == [Capacity, Capacity, Returned, UnitDone]


async def test_a_result_that_came_to_the_home_in_another_way_is_not_computed_again(world: World) -> None:
    """As the ledger of a node that slept is copied here when it wakes."""
    world.willing["left"].reason = "it is measuring itself"
    world.crew = (Crew(node="left", examples_per_s=1.0),)
    order = asyncio.create_task(world.run([question(1), question(2)]))
    await world.until(lambda: any(progress.waiting_because for progress in world.progress))
    late = StoredResult(
        key=question(1).key,
        kind="generated",
        result=encode(await _answer(world, question(1))),
        node="right",
        started_unix_s=0.0,
        busy_s=1.0,
        tokens=1,
    )
    await world.ledgers["left"].add_results([late], now_unix_s=1.0, computed=False)
    world.willing["left"].reason = ""
    world.executors["left"].refresh()
    outcome = await order
    assert outcome.results[question(1).key].node == "right"
    assert world.engines["left"].performed == [question(2).task]


async def _answer(world: World, unit: Unit) -> Result:
    engine = ScriptedEngine(world.stores["right"])
    await engine.load(MODEL)
    return await engine.perform(unit.task)


async def test_a_trained_adapter_comes_to_the_home(world: World) -> None:
    world.crew = (Crew(node="right", examples_per_s=1.0),)
    row = b'{"split":"train","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n'
    dataset = world.stores["left"].put_bytes(row)
    world.stores["right"].put_bytes(row)
    task = Train(model=MODEL.model, method="sft", dataset=dataset, settings=TrainSettings(steps=2), seed=1)
    (result,) = (await world.run([make_unit(task)])).results.values()
    assert result.node == "right"
    assert any(world.stores["left"].has(blob) for blob in _adapters(world))


def _adapters(world: World) -> list[Sha256]:
    return [Sha256(path.name) for path in (world.stores["right"].folder).rglob("*") if path.is_file()]
