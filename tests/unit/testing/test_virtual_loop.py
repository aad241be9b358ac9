"""VirtualLoop: what it promises to those who wait, and that a run can be had again."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.testing.virtual_clock import UNIX_S, VirtualClock
from realign_daemon.testing.virtual_loop import BeyondTheSimulation, NeverEnds, VirtualLoop, run

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Coroutine

BUSY = """
import asyncio
from realign_daemon.testing.virtual_loop import run

async def main(loop):
    async def work(name, queue):
        for number in range(20):
            await asyncio.sleep(loop.chance.random())
            loop.note(name)
            await asyncio.to_thread(queue.put_nowait, name)

    async def fail():
        await asyncio.sleep(5)
        raise ValueError

    queue = asyncio.Queue()
    try:
        async with asyncio.TaskGroup() as tasks:
            for name in "abcd":
                tasks.create_task(work(name, queue))
            tasks.create_task(fail())
    except* ValueError:
        pass
    asleep = {asyncio.create_task(asyncio.sleep(loop.chance.random())) for _ in range(20)}
    done, _ = await asyncio.wait(asleep, timeout=0.5)
    for task in done:  # a set
        loop.note(str(hash(task)))
    return queue.qsize()

print(run(main, 7))
"""


def outcome(main: Callable[[VirtualLoop], Coroutine[Any, Any, Any]], seed: int = 0, **more: Any) -> Any:
    return run(main, seed, **more)[0]


def test_an_hour_passes_in_no_time() -> None:
    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(3600)
        return loop.time()

    began_s = time.monotonic()

    assert outcome(main) == 3600
    assert time.monotonic() - began_s < 5


def test_the_same_seed_gives_the_same_trace_whatever_python_hashes_with() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", BUSY],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }

    assert len(said) == 1


def test_another_seed_gives_another_trace() -> None:
    async def main(loop: VirtualLoop) -> None:
        await asyncio.sleep(loop.chance.random())

    assert len({run(main, seed)[1] for seed in (1, 1, 2)}) == 2


def test_tasks_that_are_ready_at_once_run_in_every_order() -> None:
    async def main(_loop: VirtualLoop) -> tuple[int, ...]:
        order: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(1)
            order.append(number)

        await asyncio.gather(*(work(number) for number in range(3)))
        return tuple(order)

    assert len({outcome(main, seed) for seed in range(60)}) == 6


@given(st.integers(0, 2**32), st.lists(st.integers(0, 4), max_size=30))
def test_what_one_callback_schedules_stays_in_order(seed: int, sources: list[int]) -> None:
    async def main(loop: VirtualLoop) -> list[tuple[int, int]]:
        ran: list[tuple[int, int]] = []

        async def schedule(source: int) -> None:
            await asyncio.sleep(1)
            for number in range(sources.count(source)):
                loop.call_soon(ran.append, (source, number))

        await asyncio.gather(*(schedule(source) for source in range(5)))
        await asyncio.sleep(1)
        return ran

    ran = outcome(main, seed)

    assert len(ran) == len(sources)
    for source in range(5):
        assert [number for one, number in ran if one == source] == list(range(sources.count(source)))


@given(st.integers(0, 2**32), st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 60.0]), max_size=20))
def test_timers_run_at_their_time_and_never_before_an_earlier_one(seed: int, delays_s: list[float]) -> None:
    async def main(loop: VirtualLoop) -> list[tuple[float, float]]:
        ran: list[tuple[float, float]] = []
        for delay_s in delays_s:
            loop.call_later(delay_s, lambda due_s=delay_s: ran.append((due_s, loop.time())))
        await asyncio.sleep(100)
        return ran

    ran = outcome(main, seed)

    assert [due_s for due_s, _ in ran] == sorted(delays_s)
    assert all(due_s == at_s for due_s, at_s in ran)


def test_a_cancelled_timer_never_runs_nor_moves_the_time() -> None:
    async def main(loop: VirtualLoop) -> float:
        for _ in range(1000):
            loop.call_later(500, pytest.fail).cancel()
        await asyncio.sleep(1)
        return loop.time()

    assert outcome(main) == 1


def test_work_for_a_thread_runs_here_and_its_result_comes_later() -> None:
    async def main(_loop: VirtualLoop) -> list[str]:
        order: list[str] = []

        async def ask() -> None:
            order.append(await asyncio.to_thread(lambda: order.append("ran") or "heard"))

        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        order.append("asked")
        await task
        return order

    assert outcome(main) == ["asked", "ran", "heard"]


def test_an_error_in_a_thread_reaches_who_asked() -> None:
    async def main(_loop: VirtualLoop) -> None:
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        run(main, 0)


@pytest.mark.parametrize(
    "reach",
    [
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.start_server(print, port=0),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
        lambda: asyncio.get_running_loop().sock_sendall(cast("socket.socket", None), b""),
    ],
)
def test_the_real_world_is_out_of_reach(reach: Callable[[], Awaitable[object]]) -> None:
    async def main(_loop: VirtualLoop) -> None:
        await reach()

    with pytest.raises(BeyondTheSimulation, match="give the code under test a stand-in"):
        run(main, 0)


def test_a_run_in_which_nothing_can_happen_names_who_waits() -> None:
    async def main(_loop: VirtualLoop) -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="the one who waits")

    with pytest.raises(NeverEnds, match="the one who waits"):
        run(main, 0)


def test_a_run_whose_time_stands_still_ends() -> None:
    async def main(_loop: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - what must be noticed
            await asyncio.sleep(0)

    with pytest.raises(NeverEnds, match="callbacks ran at 0"):
        run(main, 0)


def test_a_run_that_takes_too_long_ends() -> None:
    async def main(_loop: VirtualLoop) -> None:
        while True:  # noqa: ASYNC110 - what must be noticed
            await asyncio.sleep(1)

    with pytest.raises(NeverEnds, match="after 60 virtual seconds"):
        run(main, 0, limit_s=60)


def test_what_still_runs_at_the_end_is_cancelled_in_order() -> None:
    ended: list[int] = []

    async def main(_loop: VirtualLoop) -> list[asyncio.Task[None]]:
        async def wait(number: int) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1)
                ended.append(number)

        tasks = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(1)
        return tasks

    outcome(main)

    assert sorted(ended) == [0, 1, 2]
    assert gc.isenabled()


def test_a_callback_that_fails_ends_the_run() -> None:
    async def main(loop: VirtualLoop) -> None:
        loop.call_soon(int, "x")
        await asyncio.sleep(1)

    with pytest.raises(ValueError, match="invalid literal"):
        run(main, 0)


def test_the_record_says_what_happened_when() -> None:
    record: list[str] = []

    async def main(loop: VirtualLoop) -> None:
        await asyncio.sleep(1.5)
        loop.note("something happened")

    run(main, 0, record=record)

    assert record == ["1.500000 something happened"]


def test_clocks_differ_by_their_skew_and_run_alike() -> None:
    async def main(loop: VirtualLoop) -> list[float]:
        clock = VirtualClock(loop, continuous_skew_s=50.0, unix_skew_s=-3600.0)
        began_s = clock.continuous()
        await clock.sleep(10)
        return [began_s, clock.continuous(), clock.unix() - UNIX_S]

    assert outcome(main) == [50.0, 60.0, -3590.0]
