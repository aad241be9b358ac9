"""The system's clock and the manual one keep the same promises."""

from __future__ import annotations

import asyncio

import pytest

from realign_daemon.clock import Clock, SystemClock
from realign_daemon.testing.manual_clock import ManualClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
def test_continuous_time_never_goes_back(clock: Clock) -> None:
    readings = [clock.continuous() for _ in range(100)]

    assert readings == sorted(readings)


async def test_a_sleeper_wakes_when_the_manual_clock_reaches_its_moment_and_not_before() -> None:
    clock = ManualClock()
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.continuous())

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (2.0, 1.0, 5.0)]
    await clock.run_for(3.0)

    assert woken == [1001.0, 1002.0]
    for task in tasks:
        task.cancel()


async def test_a_periodic_sleeper_runs_at_each_of_its_moments() -> None:
    clock = ManualClock()
    moments: list[float] = []

    async def every_second() -> None:
        while True:
            await clock.sleep(1.0)
            moments.append(clock.continuous())

    task = asyncio.create_task(every_second())
    await clock.run_for(3.5)
    task.cancel()

    assert moments == [1001.0, 1002.0, 1003.0]
    assert clock.unix() == 1_800_000_003.5
