"""What a node says of itself when its owner has a say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from realign_daemon.cluster.facts import NodeId
from realign_daemon.config import BenchmarkConfig, Config, NodeConfig, PowerConfig
from realign_daemon.engine.models import LocalModels
from realign_daemon.host.benchmark import Benchmarks
from realign_daemon.host.machine import Machine
from realign_daemon.host.pause import Pause
from realign_daemon.host.sleep import Sleep, SleepWatch
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.testing.scripted_engine import ScriptedEngine
from realign_daemon.work.blobs import BlobStore

PAUSED = "its owner has paused it"


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.pause = Pause(folder, self.clock)
        self.sleep = SleepWatch(self.clock)
        engine = ScriptedEngine(BlobStore(folder / "blobs"))
        self.benchmarks = Benchmarks(engine, folder)
        self.machine = Machine(
            node_id=NodeId("n"),
            version="1",
            config=Config(
                node=NodeConfig(name="left", data_dir=folder),
                power=PowerConfig(battery_floor_fraction=0.0, user_free_fraction=0.0),  # whatever machine tests run on
                benchmark=BenchmarkConfig(model="none"),
            ),
            engine=engine,
            models=LocalModels((), folder / "models.json"),
            benchmarks=self.benchmarks,
            clock=self.clock,
            pause=self.pause,
            sleep=self.sleep,
            is_working=lambda: False,
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
