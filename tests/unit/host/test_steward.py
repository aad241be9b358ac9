"""The steward: what a pause, a sleep and short memory lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from realign_daemon.host.pause import Pause
from realign_daemon.host.sleep import SleepWatch
from realign_daemon.host.steward import PAUSE_GRACE_S, Steward
from realign_daemon.testing.manual_clock import ManualClock


class Recorder:
    """The machine, its work, its memory and its lock, and what was asked of them."""

    def __init__(self) -> None:
        self.is_working = False
        self.waits = False
        self.on_mains = True
        self.rests_because = ""
        self.asked: list[str] = []
        self.awake = False

    @property
    def has_units(self) -> bool:
        return self.is_working or self.waits

    def refresh(self) -> None:
        self.waits = False

    def give_back_running(self) -> None:
        self.asked.append("give back")
        self.is_working = False

    async def unload(self, cause: str) -> None:
        self.asked.append(f"unload: {cause}")

    async def keep(self, *, awake: bool, on_mains: bool) -> None:
        self.awake = awake

    def reason_to_rest(self) -> str:
        return self.rests_because

    def woke(self) -> None:
        self.asked.append("woke")


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.machine = Recorder()
        self.start()

    def start(self) -> None:
        self.pause = Pause(self.folder, self.clock)
        self.steward = Steward(
            host=self.machine,
            pause=self.pause,
            sleep=SleepWatch(self.clock),
            work=self.machine,
            memory=self.machine,
            lock=self.machine,
            clock=self.clock,
            woke=self.machine.woke,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def paused(world: World, seconds: float | None) -> None:
    await world.steward.pause(seconds)
    world.machine.rests_because = "the node is paused"  # as Machine says then


async def test_a_paused_node_gives_its_memory_back_once_nothing_runs(world: World) -> None:
    world.machine.is_working = True
    await paused(world, 7200.0)
    await world.steward.look()
    assert world.machine.asked == []

    world.machine.is_working = False
    await world.steward.look()

    assert world.machine.asked == ["unload: the node is paused"]


async def test_what_runs_too_long_into_a_pause_is_given_back(world: World) -> None:
    world.machine.is_working = True
    await paused(world, None)
    world.clock.advance(PAUSE_GRACE_S - 1)
    await world.steward.look()
    assert world.machine.asked == []

    world.clock.advance(1)
    await world.steward.look()

    assert world.machine.asked == ["give back", "unload: the node is paused"]


async def test_a_pause_that_is_over_leaves_no_trace(world: World) -> None:
    await paused(world, 60.0)
    world.clock.advance(61.0)
    world.machine.rests_because = ""
    world.machine.is_working = True

    await world.steward.look()

    assert (world.machine.asked, list(world.folder.iterdir())) == ([], [])


async def test_a_daemon_that_starts_paused_has_the_grace_anew_and_ends_the_pause_in_its_time(world: World) -> None:
    await paused(world, 60.0)
    world.start()
    assert world.pause.is_on
    world.clock.advance(61.0)

    await world.steward.look()

    assert not Pause(world.folder, world.clock).is_on


async def test_short_memory_unloads_an_idle_model_and_never_one_with_units(world: World) -> None:
    world.machine.rests_because = "it is short of memory"
    world.machine.is_working = True
    await world.steward.look()
    assert world.machine.asked == []

    world.machine.is_working = False
    await world.steward.look()

    assert world.machine.asked == ["unload: it is short of memory"]


async def test_the_machine_is_kept_awake_while_units_run(world: World) -> None:
    for works in (True, False):
        world.machine.is_working = works
        await world.steward.look()
        assert world.machine.awake is works


async def test_after_a_sleep_the_node_makes_itself_known_again(world: World) -> None:
    await world.steward.look()
    world.clock.sleep_through(7200.0)

    await world.steward.look()
    await world.steward.look()

    assert world.machine.asked == ["woke"]
