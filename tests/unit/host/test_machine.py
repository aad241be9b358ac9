"""What a node says of itself when its owner has a say."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest

from realign_daemon.cluster.facts import Cable, NodeId
from realign_daemon.config import BenchmarkConfig, Config, EngineConfig, NodeConfig, PowerConfig
from realign_daemon.engine.models import LocalModels
from realign_daemon.host.benchmark import Benchmarks
from realign_daemon.host.facts import read_facts
from realign_daemon.host.machine import CABLES_EVERY_S, Machine
from realign_daemon.host.pause import Pause
from realign_daemon.host.senses import SENSES, Senses
from realign_daemon.host.sleep import Sleep, SleepWatch
from realign_daemon.rpc.neighbours import planner_facts
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore

GB = 10**9
PAUSED = "its owner has paused it"


CABLE = Cable(device="rdma_en5", domain="A", peer_domain="B")
SHARED = Senses(
    facts=lambda: replace(read_facts(), memory_bytes=100 * GB, usable_bytes=90 * GB),
    free_bytes=lambda: 60 * GB,
    is_in_use=lambda: True,
    pressure=lambda: "normal",
    cables=lambda: (CABLE,),
)


class World:
    def __init__(
        self,
        folder: Path,
        *,
        user_free_fraction: float = 0.0,
        senses: Senses = SENSES,
        clock: ManualClock | None = None,
        model_memory_gb: float = 0.0,
    ) -> None:
        self.clock = clock or ManualClock()
        self.pause = Pause(folder, self.clock)
        self.sleep = SleepWatch(self.clock)
        engine = ScriptedEngine(BlobStore(folder / "blobs"))
        self.benchmarks = Benchmarks(engine, folder)
        self.machine = Machine(
            node_id=NodeId("n"),
            version="1",
            config=Config(
                node=NodeConfig(name="left", data_dir=folder),
                power=PowerConfig(battery_floor_fraction=0.0, user_free_fraction=user_free_fraction),
                benchmark=BenchmarkConfig(model="none"),
                engine=EngineConfig(model_memory_gb=model_memory_gb),
            ),
            engine=engine,
            models=LocalModels((), folder / "models.json"),
            benchmarks=self.benchmarks,
            clock=self.clock,
            pause=self.pause,
            sleep=self.sleep,
            is_working=lambda: False,
            senses=senses,
        )


@pytest.fixture
async def world(tmp_path: Path) -> World:
    built = World(tmp_path)
    await built.machine.start()
    return built


async def test_a_paused_node_says_so_in_its_facts_and_takes_no_work(world: World) -> None:
    before = world.machine.facts()
    await world.pause.begin(7200.0)
    facts = world.machine.facts()

    assert (before.paused, before.pause_left_s, before.refusal) == (False, None, "")
    assert (facts.paused, facts.pause_left_s, facts.refusal) == (True, 7200.0, PAUSED)
    assert world.machine.reason_to_refuse() == PAUSED
    assert world.machine.reason_to_rest() == "the node is paused"


async def test_plans_see_no_more_memory_than_a_model_gets_where_somebody_is_logged_in(tmp_path: Path) -> None:
    machine = World(tmp_path, user_free_fraction=0.25, senses=SHARED).machine
    await machine.start()
    facts = machine.facts()
    assert (facts.usable_bytes, facts.free_bytes) == (75 * GB, 35 * GB)
    assert machine.spare_bytes() == 35 * GB


async def test_plans_see_as_much_memory_as_the_owners_limit_leaves_a_model(tmp_path: Path) -> None:
    machine = World(tmp_path, senses=SHARED, model_memory_gb=8.0).machine
    await machine.start()
    facts = machine.facts()
    assert facts.usable_bytes == 8 * GB
    assert planner_facts(facts).free_bytes == 8 * GB
    assert machine.spare_bytes() == facts.free_bytes


async def test_a_machine_that_can_open_no_more_files_is_as_it_was_seen_last(tmp_path: Path) -> None:
    fails: list[int] = []

    def free_bytes() -> int:
        if fails:
            raise OSError(fails[0], "no")
        return 60 * GB

    machine = World(tmp_path, senses=replace(SHARED, free_bytes=free_bytes)).machine
    await machine.start()
    before = machine.facts()
    fails.append(errno.EMFILE)
    await machine.refresh()
    assert machine.facts() == before
    fails[0] = errno.EIO
    with pytest.raises(OSError, match="no"):
        await machine.refresh()


async def test_a_node_tells_of_its_cables_once_it_has_looked(tmp_path: Path) -> None:
    looks = asyncio.Queue[float]()

    class Clock(ManualClock):
        async def sleep(self, seconds: float) -> None:
            looks.put_nowait(seconds)
            await super().sleep(seconds)

    machine = World(tmp_path, senses=SHARED, clock=Clock()).machine
    await machine.start()
    assert machine.facts().rdma == ()
    looking = asyncio.create_task(machine.watch_cables())
    assert await looks.get() == CABLES_EVERY_S
    assert machine.facts().rdma == (CABLE,)
    looking.cancel()


async def test_a_node_says_that_its_machine_slept(world: World) -> None:
    world.clock.sleep_through(60.0)
    world.sleep.look()

    assert world.machine.facts().last_sleep == Sleep(slept_s=60.0, woke_unix_s=world.clock.unix())


async def test_a_paused_node_measures_itself_once_the_pause_is_over(world: World) -> None:
    await world.pause.begin(60.0)
    measuring = asyncio.create_task(world.machine.measure_at_start())

    await world.clock.run_for(59.0)
    assert not measuring.done()
    await world.clock.run_for(2.0)

    assert measuring.done()  # it has no such model, which is no reason to stop
