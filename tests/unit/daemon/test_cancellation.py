"""Who is cancelled hears of it, whatever becomes of what was awaited."""

from __future__ import annotations

import asyncio

import pytest

from realign_daemon.cancellation import heeded


async def keeps_it_to_itself(*, fails: bool) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if fails:
            raise ConnectionError("refused") from None
    return "done"


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_that_was_kept_back_is_heard_of(*, fails: bool) -> None:
    async def go_on_for_ever() -> None:
        with heeded():
            await keeps_it_to_itself(fails=fails)
        await asyncio.Event().wait()

    task = asyncio.create_task(go_on_for_ever())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()


async def test_a_deadline_around_it_is_kept_and_one_inside_is_no_cancellation() -> None:
    async def outside() -> None:
        async with asyncio.timeout(0.001):
            with heeded():
                await keeps_it_to_itself(fails=True)

    async def inside() -> None:
        with heeded():
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()

    for waiting in (outside, inside):
        with pytest.raises(TimeoutError):
            await waiting()


async def test_without_one_results_and_failures_are_what_they_are() -> None:
    with heeded():
        assert await asyncio.sleep(0, "done") == "done"
    with pytest.raises(ConnectionError), heeded():
        raise ConnectionError("refused")
