"""Full disk: a node without room for what it computed keeps it, says so to the job, and goes on once there is room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from realign_daemon.config import load
from realign_daemon.curation.desk import Desk, Surroundings
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.engine.api import Generated, LocalModel, Result, Task
from realign_daemon.engine.errors import BadTask
from realign_daemon.footing import stand
from realign_daemon.platform import Platform
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.testing.scripted_desk import PIN, asked, generation, job_spec
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.ballast import Ballast
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher
from realign_daemon.work.executor import DISK_RETRY_S, Executor
from realign_daemon.work.ledger import Ledger

MODEL = LocalModel(
    name=PIN.name,
    model=PIN.model,
    path=Path("/nowhere"),
    params_b=PIN.params_b,
    active_params_b=PIN.params_b,
    bits=PIN.bits,
    weight_bytes=1,
)
QUESTIONS = [f"question {number}" for number in range(8)]
BAD = "nobody can answer this"
pytestmark = pytest.mark.deadline(20)

FULL = "waiting: disk full at studio: free some space"
SPARE_PAGES = 100_000


class OneModel:
    def find(self, name: str) -> LocalModel | None:
        return MODEL if name == MODEL.name else None


class Willing:
    def reason_to_refuse(self) -> str:
        return ""

    def slots(self, model: LocalModel) -> int:
        return 4


def script(task: Task) -> Result | None:
    """What it gives does not fit into pages that the database has already."""
    if asked(task) == BAD:
        raise BadTask("this question can never be answered " * 1000)
    return Generated(text="very " * 2000, finish_reason="stop", prompt_tokens=1, completion_tokens=1, logprob=-1.0)


class World:
    """The home "left", which has all its disk, and "right", called studio, which has not."""

    def __init__(self, folder: Path) -> None:
        self.databases = {name: Database(folder / f"{name}.sqlite") for name in ("left", "right")}
        self.ledgers = {name: Ledger(database) for name, database in self.databases.items()}
        self.blobs = {name: BlobStore(folder / f"{name}-blobs") for name in self.databases}
        self.engines = {name: ScriptedEngine(blobs, script) for name, blobs in self.blobs.items()}
        self.clock = ManualClock()
        self.executors = {name: self._executor(name) for name in self.databases}
        self.record = JobRecord(stages=[StageRecord(name="s", title="s")])

    def _executor(self, name: str) -> Executor:
        return Executor(
            node_id=name,
            engine=self.engines[name],
            models=OneModel(),
            willingness=Willing(),
            ledger=self.ledgers[name],
            blobs=self.blobs[name],
            clock=self.clock,
            fetch_blob=cast("Any", None),
            node_name="studio" if name == "right" else name,
        )

    def desk(self, *crew: str) -> Desk:
        links = MemoryLinks(self.executors, self.blobs, home="left")

        def members(*_: object) -> list[Crew]:
            return [Crew(node=node, examples_per_s=1.0) for node in crew]

        return Desk(
            job_spec(),
            self.record,
            Surroundings(
                dispatcher=Dispatcher(
                    ledger=self.ledgers["left"], connections=links, clock=self.clock, look_every_s=0.01
                ),
                ledger=self.ledgers["left"],
                blobs=self.blobs["left"],
                computations=cast("Any", None),
                crew=members,
                home="left",
                node_names=dict,
                changed=lambda: None,
            ),
            counted=set(),
        )

    async def fill(self) -> None:
        """Nothing more fits on studio's disk: SQLite answers SQLITE_FULL."""
        used = await self.databases["right"].run(lambda one: one.execute("PRAGMA page_count").fetchone()[0])
        await self.databases["right"].run(lambda one: one.execute(f"PRAGMA max_page_count={used}"))

    async def free(self) -> None:
        """There is room; it is noticed at the next try."""
        await self.databases["right"].run(lambda one: one.execute(f"PRAGMA max_page_count={SPARE_PAGES}"))
        self.clock.advance(DISK_RETRY_S)

    async def until(self, activity: Callable[[str], bool]) -> None:
        while not activity(self.record.stages[0].activity):  # noqa: ASYNC110 - set by several tasks, without an event
            await asyncio.sleep(0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    world = World(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        for database in world.databases.values():
            await database.open()
        running = [tasks.create_task(executor.run()) for executor in world.executors.values()]
        yield world
        for task in running:
            task.cancel()
    for database in world.databases.values():
        await database.close()


@asynccontextmanager
async def asking(desk: Desk, *questions: str) -> AsyncGenerator[asyncio.Task[Any]]:
    answering = asyncio.create_task(desk.generate("target", [generation(question) for question in questions]))
    try:
        yield answering
    finally:
        answering.cancel()


async def test_a_job_whose_node_has_no_room_says_so_and_goes_on_by_itself(world: World) -> None:
    await world.fill()
    async with asking(world.desk("right"), *QUESTIONS) as answering:
        await world.until(lambda activity: activity == FULL)
        await world.free()
        assert None not in await answering
    assert world.record.stages[0].activity != FULL
    assert len(world.engines["right"].performed) == len(QUESTIONS)  # none was computed again


async def test_the_others_go_on_and_the_job_says_what_it_waits_for_once_they_are_done(world: World) -> None:
    await world.fill()
    async with asking(world.desk("left", "right"), *QUESTIONS) as answering:
        await world.until(lambda activity: activity == FULL)
        assert world.record.stages[0].done > 0
        await world.free()
        assert None not in await answering


async def test_a_unit_that_fails_on_a_full_disk_does_not_end_the_node(world: World) -> None:
    await world.fill()
    async with asking(world.desk("right"), BAD) as answering:
        await world.until(lambda activity: activity == FULL)
        await world.free()
        assert await answering == [None]


async def test_the_ballast_is_made_at_start(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast", least_free_bytes=0, size_bytes=2**20)
    platform = Platform(clock=ManualClock(), ballast=lambda _: ballast)
    config = load(flags={"node.data_dir": tmp_path})
    async with AsyncExitStack() as stack:
        footing = await stand(config, platform, stack, kinds=())
        keeping = asyncio.create_task(footing.keep_ballast())
        stack.callback(keeping.cancel)
        while not (tmp_path / "ballast").exists():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0)
