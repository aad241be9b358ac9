"""What is seen of a group when something goes wrong with it: real processes, a ring over loopback."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from realign_daemon.engine.api import Generate, Message, ModelId, Sampler
from realign_daemon.engine.errors import EngineDied
from realign_daemon.engine.models import POCKET_FOLDER
from realign_daemon.engine.ranks import GroupPlan, Rank
from realign_daemon.testing.gang import loaded, loopback_ring, started

MODEL = ModelId("a" * 64)
QUESTION = (Message(role="user", content="12+34="),)


def long_work() -> list[Generate]:
    """Work for more seconds than a test looks: so hot that a text seldom ends before its tokens do."""
    hot = Sampler(temperature=1e4, max_tokens=400)
    return [Generate(model=MODEL, messages=QUESTION, sampler=hot, seed=seed, template="t") for seed in range(400)]


async def test_a_stopped_rank_stops_beating_the_others_beat_on_and_none_gets_on(tmp_path: Path) -> None:
    async with loaded(tmp_path, POCKET_FOLDER, loopback_ring(2, "pipeline")) as group:
        head, tail = group.members
        head.told.beats = asyncio.Queue()  # those of the load are over
        asked = asyncio.create_task(group.perform(*long_work()))
        while not (await head.told.beats.get()).busy:
            pass
        os.kill(tail.process.pid, signal.SIGSTOP)
        await head.told.beats.get()  # by the next one all is over that was on its way
        beaten = tail.told.beats.qsize()
        first, second = await head.told.beats.get(), await head.told.beats.get()
        assert (first.steps, first.busy) == (second.steps, True)
        assert tail.told.beats.qsize() == beaten
        os.kill(tail.process.pid, signal.SIGKILL)  # whereupon the other hears that it has gone
        with pytest.raises(EngineDied) as death:
            await asked
        lost = "it lost a peer ([ring] connection to a peer was lost); form another group"
        assert death.value.last_words.endswith(f"rank 0 of group test (ring): {lost}")  # after MLX's own
        assert (await tail.process.until_ended()).cause.startswith("killed by SIGKILL")


async def test_ranks_at_rest_go_round_until_one_is_stopped_whatever_is_asked_then(tmp_path: Path) -> None:
    async with loaded(tmp_path, POCKET_FOLDER, loopback_ring(2, "tensor")) as group:
        head, tail = group.members
        while (await head.told.beats.get()).busy:
            pass
        resting, later = await head.told.beats.get(), await head.told.beats.get()
        assert later.steps > resting.steps
        os.kill(tail.process.pid, signal.SIGSTOP)
        asked = asyncio.create_task(group.perform(*long_work()))
        await head.told.beats.get()
        first, second = await head.told.beats.get(), await head.told.beats.get()
        assert (first.steps, first.busy) == (second.steps, False), "what was asked did not begin"
        os.kill(tail.process.pid, signal.SIGKILL)
        with pytest.raises(EngineDied):
            await asked


async def test_a_rank_that_cannot_join_says_so_in_one_sentence(tmp_path: Path) -> None:
    plan = GroupPlan(
        group="g7", backend="jaccl", parallelism="tensor", devices=(((), ("rdma_en5",)), (("rdma_en3",), ()))
    )
    member = await started(tmp_path, Rank(plan=plan, rank=1, folder=POCKET_FOLDER))
    with pytest.raises(EngineDied) as death:
        await asyncio.wait_for(member.process.until_formed(), 60)
    assert death.value.last_words.startswith("rank 1 of group g7 (jaccl): MLX ")
    assert " | " not in death.value.last_words
