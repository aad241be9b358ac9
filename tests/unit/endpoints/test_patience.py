"""How long a server is left alone."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.endpoints.patience import LONGEST_S, Turnstile, asked_s, backoff_s
from realign_daemon.testing.manual_clock import ManualClock


@given(tries=st.integers(1, 60), seed=st.integers())
def test_a_wait_is_never_nothing_and_never_above_its_bound(tries: int, seed: int) -> None:
    assert 0.2 < backoff_s(tries, chance=random.Random(seed)) <= LONGEST_S


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_a_server_may_ask_for_a_wait_in_seconds_or_by_a_date(header: str, wait_s: float | None) -> None:
    assert asked_s(header, now_unix_s=60.0) == wait_s


async def test_so_many_requests_a_minute_pass_and_no_more() -> None:
    clock = ManualClock()
    turnstile = Turnstile(clock, per_minute=30)
    passed: list[int] = []

    async def go(number: int) -> None:
        await turnstile.pass_through()
        passed.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(go(number))
        for expected in ([0], [0, 1], [0, 1, 2]):
            for _ in range(5):
                await asyncio.sleep(0)
            assert passed == expected
            clock.advance(2.0)


async def test_a_server_that_asks_for_rest_gets_it_from_all_who_come_later() -> None:
    clock = ManualClock()
    turnstile = Turnstile(clock, per_minute=0)
    turnstile.hold(5.0)
    waiting = asyncio.create_task(turnstile.pass_through())
    await asyncio.sleep(0)
    clock.advance(4.9)
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.advance(0.2)
    await waiting
