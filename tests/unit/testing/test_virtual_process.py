"""VirtualProcess: what stops, sleeps and dies with it, and what does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from realign_daemon.testing.virtual_clock import VirtualClock
from realign_daemon.testing.virtual_loop import VirtualLoop, run

if TYPE_CHECKING:
    from realign_daemon.testing.virtual_process import VirtualProcess


class Ticker:
    """Notes each second's beginning, from a task that a task of the process started."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.clock = VirtualClock(loop)
        self.at_s: list[float] = []
        self.ended = False

    def start(self, process: VirtualProcess) -> None:
        process.start(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())

    async def _tick(self) -> None:
        try:
            while True:
                self.at_s.append(self.clock.continuous())
                await asyncio.sleep(1)
        finally:
            self.ended = True


def test_a_stopped_process_does_nothing_and_its_overdue_timers_run_when_it_goes_on() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        process = loop.process("p")
        ticker = Ticker(loop)
        ticker.start(process)
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(60)
        process.resume()
        await asyncio.sleep(1.2)
        return ticker.at_s

    assert run(main, 0)[0] == [0, 1, 61.5, 62.5]


def test_a_process_that_slept_waits_as_long_as_it_would_have_and_finds_its_clock_moved_on() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        process = loop.process("p")
        ticker = Ticker(loop)
        ticker.start(process)
        await asyncio.sleep(1.5)
        process.sleep()
        await asyncio.sleep(60)
        process.resume()
        await asyncio.sleep(1.2)
        return ticker.at_s

    assert run(main, 0)[0] == [0, 1, 62, 63][:3]


def test_a_killed_process_runs_nothing_more_not_even_its_cleanup() -> None:
    async def main(loop: VirtualLoop) -> tuple[list[float], bool]:
        process = loop.process("p")
        ticker = Ticker(loop)
        ticker.start(process)
        await asyncio.sleep(1.5)
        process.kill()
        process.resume()
        await asyncio.sleep(60)
        return ticker.at_s, ticker.ended

    assert run(main, 0)[0] == ([0, 1], False)


def test_work_that_a_killed_process_gave_to_a_thread_is_never_done() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        process = loop.process("p")
        done: list[str] = []

        async def ask() -> None:
            await asyncio.to_thread(done.append, "written")

        process.start(ask())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        process.kill()
        await asyncio.sleep(60)
        return done

    assert run(main, 0)[0] == []


def test_one_process_stops_and_another_goes_on() -> None:
    async def main(loop: VirtualLoop) -> tuple[int, int]:
        first, second = Ticker(loop), Ticker(loop)
        stopped = loop.process("first")
        first.start(stopped)
        second.start(loop.process("second"))
        await asyncio.sleep(2.5)
        stopped.stop()
        await asyncio.sleep(3)
        return len(first.at_s), len(second.at_s)

    assert run(main, 0)[0] == (3, 6)


def test_what_waits_for_a_result_of_a_stopped_process_waits_too() -> None:
    async def main(loop: VirtualLoop) -> float:
        process = loop.process("p")
        task = process.start(asyncio.sleep(1))
        process.stop()
        loop.call_later(30, process.resume)
        await task
        return loop.time()

    assert run(main, 0)[0] == 31.0
