"""Desk: what a job counts of its units, whoever computed them and however often the job is run again."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from realign_daemon.clock import SystemClock
from realign_daemon.curation.desk import Desk, Surroundings
from realign_daemon.curation.record import JobRecord, StageRecord
from realign_daemon.curation.run import reset
from realign_daemon.curation.spec import ModelPin
from realign_daemon.curation.unit_nodes import UnitNodes
from realign_daemon.engine.api import LocalModel, Sha256, Train, TrainSettings
from realign_daemon.testing.memory_links import MemoryLinks
from realign_daemon.testing.scripted_desk import PIN, generation, job_spec
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore
from realign_daemon.work.database import Database
from realign_daemon.work.dispatcher import Crew, Dispatcher
from realign_daemon.work.executor import Executor
from realign_daemon.work.ledger import Ledger
from realign_daemon.work.units import UnitKey

MODEL = LocalModel(
    name=PIN.name,
    model=PIN.model,
    path=Path("/nowhere"),
    params_b=PIN.params_b,
    active_params_b=PIN.params_b,
    bits=PIN.bits,
    weight_bytes=1,
)
DEADLINE_S = 20.0


class OneModel:
    def find(self, name: str) -> LocalModel | None:
        return MODEL if name == MODEL.name else None


class Willing:
    def reason_to_refuse(self) -> str:
        return ""

    def slots(self, model: LocalModel) -> int:
        return 4


class Home:
    """A node that works for itself: a real ledger, dispatcher and executor over a scripted engine."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "ledger.sqlite")
        self.ledger, self.blobs = Ledger(self.database), BlobStore(folder / "blobs")
        self.engine = ScriptedEngine(self.blobs)
        self.crews: set[tuple[str, bool]] = set()  # asked for, by model and whether it is to be trained
        self.executor = Executor(
            node_id="home",
            engine=self.engine,
            models=OneModel(),
            willingness=Willing(),
            ledger=self.ledger,
            blobs=self.blobs,
            clock=SystemClock(),
            fetch_blob=cast("Any", None),
        )
        links = MemoryLinks({"home": self.executor}, {"home": self.blobs}, home="home")
        self.dispatcher = Dispatcher(ledger=self.ledger, connections=links, clock=SystemClock())

    def _crew(self, pin: ModelPin, trains: bool) -> list[Crew]:
        self.crews.add((pin.name, trains))
        return [Crew(node="home", examples_per_s=1.0)]

    def desk(self, record: JobRecord, *, counted: set[UnitKey] | None = None, is_pilot: bool = False) -> Desk:
        return Desk(
            job_spec(),
            record,
            Surroundings(
                dispatcher=self.dispatcher,
                ledger=self.ledger,
                blobs=self.blobs,
                computations=cast("Any", None),
                crew=self._crew,
                home="home",
                node_names=lambda: {"home": "Home"},
                changed=lambda: None,
            ),
            counted=set() if counted is None else counted,
            is_pilot=is_pilot,
        )


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    built = Home(tmp_path)
    await built.database.open()
    running = asyncio.create_task(built.executor.run())
    try:
        yield built
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await built.database.close()


def begun(*stages: str) -> JobRecord:
    """The record of a job that begins now."""
    return JobRecord(began_unix_s=time.time(), stages=[StageRecord(name=name, title=name) for name in stages or ("s",)])


async def ask(desk: Desk, numbers: range) -> None:
    async with asyncio.timeout(DEADLINE_S):
        found = await desk.generate("target", [generation(f"question {number}") for number in numbers])
    assert None not in found


def counts(record: JobRecord) -> tuple[int, int, int]:
    """Units and examples of the node, and units that were reused."""
    node = record.nodes.get("home")
    return (node.units, node.examples, record.reused) if node else (0, 0, record.reused)


def progress(stage: StageRecord) -> tuple[int, int, int, int]:
    return stage.total, stage.done, stage.computed, stage.remembered


async def test_a_resumed_job_counts_what_it_computed_before_as_its_own_and_once(home: Home) -> None:
    record = begun()
    await ask(home.desk(record), range(6))  # and then the daemon was stopped
    record.nodes.clear()
    record.reused = 0
    reset(record, 0.0)
    await ask(home.desk(record), range(10))
    assert counts(record) == (10, 10, 0)
    assert progress(record.stages[0]) == (10, 10, 4, 6)
    assert len(home.engine.performed) == 10


async def test_what_another_job_computed_while_this_one_was_queued_is_reused_and_in_no_figure(home: Home) -> None:
    await ask(home.desk(begun()), range(6))
    record = begun()  # of a job that was submitted long ago
    await ask(home.desk(record), range(10))
    assert counts(record) == (4, 4, 6)
    assert progress(record.stages[0]) == (10, 10, 4, 6)


async def test_a_unit_that_several_stages_and_the_pilot_ask_for_is_counted_once(home: Home) -> None:
    record, counted = begun("one", "two"), set[UnitKey]()
    await ask(home.desk(record, counted=counted, is_pilot=True), range(3))
    reset(record, 0.0)
    desk = home.desk(record, counted=counted)
    await ask(desk, range(8))
    desk.stage = record.stage("two")
    await ask(desk, range(5, 12))
    assert counts(record) == (12, 12, 0)
    assert [progress(stage) for stage in record.stages] == [(8, 8, 5, 3), (7, 7, 4, 0)]
    assert len(counted) == 3, "the run itself keeps no keys"


async def test_a_training_asks_for_the_crew_that_trains_and_everything_else_for_its_models(home: Home) -> None:
    desk = home.desk(begun())
    await ask(desk, range(1))
    settings = TrainSettings(steps=1)
    await desk.train("target", Train(model=PIN.model, method="sft", dataset=Sha256("d"), settings=settings, seed=0))
    assert home.crews == {(PIN.name, False), (PIN.name, True)}
    stage = desk.stage
    assert (stage.total, stage.computed, stage.trainings) == (2, 1, 1)


async def test_the_orders_of_a_stage_add_up(home: Home) -> None:
    record = begun()
    desk = home.desk(record)
    await ask(desk, range(4))
    await ask(desk, range(4, 9))
    assert progress(record.stages[0]) == (9, 9, 9, 0)


async def test_a_desk_knows_which_node_made_a_result_computed_or_remembered(home: Home) -> None:
    await ask(home.desk(begun()), range(1))
    desk = home.desk(begun())
    await ask(desk, range(2))
    assert [desk.made(generation(f"question {number}")).node for number in range(2)] == ["Home", "Home"]


async def test_what_a_desk_noted_goes_with_it(home: Home) -> None:
    desk = home.desk(begun())
    await ask(desk, range(3))
    gone = weakref.ref(desk)
    del desk
    for _ in range(3):  # the generators of its links end in a turn of the loop of their own
        gc.collect()
        await asyncio.sleep(0)
    assert gone() is None


def test_a_hundred_thousand_units_take_less_than_a_hundred_bytes_each() -> None:
    count = 100_000
    keys = [UnitKey(hashlib.sha256(str(number).encode()).hexdigest()) for number in range(count)]
    nodes = UnitNodes()
    tracemalloc.start()
    try:
        for key in keys:
            nodes.note(key, "".join(("node-", "0" * 32)))  # a copy of the name each time, as the ledger gives
        used_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert used_bytes / count < 100
    assert keys[7] in nodes
    assert nodes[keys[-1]] == "node-" + "0" * 32
    assert UnitKey("f" * 64) not in nodes
