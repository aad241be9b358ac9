"""The story of a three-day job of somebody who closes the lid, travels, and comes back, in simulated time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sim.travelling_world import HOUR_S, SLOWER, World, question

from realign_daemon.host.power import Power
from realign_daemon.testing.virtual_loop import VirtualLoop, run
from realign_daemon.work.units import UnitKey

UNITS = 680
DAYS_S = 5 * 24 * HOUR_S
WAKE_S = 10 * SLOWER  # until a machine that woke works again


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is to be said when the job has ended."""

    world: World
    results: set[UnitKey]
    stored: int
    left_running: set[UnitKey]  # on the laptop whenever the home lost it
    ended_at: float  # hour
    paused_begun: int  # units that began on the laptop while it was paused
    begun_at_home: int  # within WAKE_S after it came home
    led_apart: bool
    beliefs: set[tuple[str | None, int]]  # leader, and nodes alive


async def travel(loop: VirtualLoop, folder: Path) -> Story:
    """Hours since the start stand at each chapter."""
    world = World(loop, folder)
    desktop, laptop = world.desktop, world.laptop
    left_running: set[UnitKey] = set()
    await world.until(0.5)
    job = world.order([question(number) for number in range(UNITS)])

    await world.until(5)  # on the sofa, without the charger
    for hour, charge in ((5, 0.8), (6, 0.55), (7, 0.31), (8, 0.30)):
        await world.until(hour)
        laptop.power = Power(source="battery", battery_fraction=charge)

    await world.until(9.5)
    laptop.power = Power(source="ac", battery_fraction=0.3)

    await world.until(11.2)  # the lid closes; meanwhile a time server sets the desktop back
    left_running |= world.in_flight(laptop)
    laptop.host.sleep()
    await world.until(14)
    desktop.clock.unix_skew_s = -2 * HOUR_S

    await world.until(22)  # a hotel on another continent: mains, and a network with nobody in it
    world.network.isolate(laptop.host)
    laptop.clock.unix_skew_s = 9 * HOUR_S
    laptop.host.resume()
    await world.until(30)
    led_apart = laptop.leads and desktop.leads
    laptop.host.sleep()

    await world.until(42)  # at home again
    laptop.clock.unix_skew_s = 0.0
    world.network.heal()
    laptop.host.resume()
    begun = len(laptop.engine.begun)
    await world.until(42 + WAKE_S / HOUR_S)
    begun_at_home = len(laptop.engine.begun) - begun

    await world.until(50)  # a nap in the middle of work, too short to be missed by anybody else
    left_running |= world.in_flight(laptop)
    laptop.host.sleep()
    await world.until(50.5)
    laptop.host.resume()

    await world.until(56)  # its owner wants it for two hours
    left_running |= world.in_flight(laptop)
    laptop.host.running.start(laptop.steward.pause(2 * HOUR_S), name="pause")
    await world.until(56.1)
    begun = len(laptop.engine.begun)
    await world.until(58)
    paused_begun = len(laptop.engine.begun) - begun

    outcome = await job
    assert outcome.quarantined == {}
    stored = (await desktop.ledger.counts())["results"]
    return Story(
        world=world,
        results=set(outcome.results),
        stored=stored,
        left_running=left_running,
        ended_at=world.hour,
        paused_begun=paused_begun,
        begun_at_home=begun_at_home,
        led_apart=led_apart,
        beliefs={desktop.believes[1:], laptop.believes[1:]},
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_three_day_job_survives_a_laptop_that_travels(tmp_path: Path, seed: int) -> None:
    story, _ = run(lambda loop: travel(loop, tmp_path), seed, limit_s=DAYS_S)
    world = story.world

    # Nothing is lost, and nothing was computed twice but what ran on the laptop when the home lost sight of it.
    assert story.results == {question(number).key for number in range(UNITS)}
    assert story.stored == UNITS
    assert {key for key, times in Counter(world.computed()).items() if times > 1} <= story.left_running

    # The laptop works at the table and on its battery, down to 30 %; not asleep, not far away, not while paused.
    assert world.done_by("laptop", 0, 5) > 0
    assert world.done_by("laptop", 5, 9) > 0
    assert world.done_by("laptop", 11.2, 42) == 0
    assert story.paused_begun == 0
    assert "the node is paused" in world.laptop.engine.unloaded

    # Once it is back it works at once, and has its share again: four units an hour beside the desktop's eight.
    assert story.begun_at_home > 0
    for since, until in ((44, 50), (60, story.ended_at - 2)):
        assert world.done_by("laptop", since, until) >= 0.8 * 4 * (until - since)
    assert story.ended_at <= 72

    # Each led its own half of the cut network, and that cost nothing; in the end both follow the desktop.
    assert story.led_apart
    assert story.beliefs == {("desktop", 2)}

    # The laptop noticed each sleep, and was kept awake for units only.
    assert [round(slept / HOUR_S, 1) for slept in world.laptop.woke_s] == [10.8, 12.0, 0.5]
    assert world.desktop.woke_s == []
    assert world.laptop.awake_for_nothing == 0
