"""Which job of a home runs: one at a time, and none that waits for its models keeps another from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.curation.jobs_world import WORKFLOW, Script

from realign_daemon.curation.colleague import Colleague, Holding
from realign_daemon.curation.job import Job
from realign_daemon.curation.spec import ModelPin
from realign_daemon.engine.api import ModelId
from realign_daemon.errors import BadInput, Full
from realign_daemon.models.arrival import Arrived
from realign_daemon.testing.job_home import HUB_NAME, MOST_QUEUED, JobHome, OneColleague

STAGES = [stage.name for stage in WORKFLOW.stages]
NOWHERE = "org/Nowhere-0.001B"
(POCKET,) = OneColleague().alive()[0].holdings
FETCHABLE = replace(POCKET, name=HUB_NAME)
JUDGE = replace(POCKET, name="judge@server", model=ModelId("e" * 64), endpoint="http://server")
LOST = replace(POCKET, name=NOWHERE, model=ModelId("f" * 64))


class Fetching(OneColleague):
    """A node that can fetch one model when it is told to, and no other."""

    def __init__(self, *held: Holding) -> None:
        super().__init__()
        self.held = held
        self.comes = asyncio.Event()
        self.looked_at = asyncio.Event()

    def alive(self) -> tuple[Colleague, ...]:
        (one,) = super().alive()
        self.looked_at.set()
        return (replace(one, holdings=self.held, room_bytes=2**33),)

    async def fetch(self, node_id: str, pin: ModelPin) -> AsyncGenerator[Arrived]:
        yield Arrived(source=f"what {node_id} asks")
        await self.comes.wait()
        if pin.name == NOWHERE:
            raise BadInput(f"nobody has {NOWHERE}")
        self.held = (FETCHABLE,)


async def waiting(home: JobHome, holding: Holding) -> Job:
    """A job that waits for its model."""
    job = await home.submit(model=holding.name, offered=(holding,))
    await home.until(job, lambda job: bool(job.record.stages[0].activity))
    return job


async def test_jobs_that_waited_for_their_model_run_one_after_the_other_once_it_is_there(tmp_path: Path) -> None:
    script, node = Script(), Fetching()
    async with JobHome(tmp_path, work=script.work, colleagues=node) as home:
        jobs = [await waiting(home, FETCHABLE) for _ in range(2)]
        node.comes.set()
        await home.until(jobs[1], lambda job: "waits for its turn" in job.record.stages[0].activity)
        for job in jobs:
            await home.until_ended(job)
        assert [job.record.state for job in jobs] == ["completed"] * 2
        assert script.ran == STAGES * 2


async def test_jobs_that_wait_for_their_model_count_as_queued(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work, colleagues=Fetching(POCKET)) as home:
        jobs = [await waiting(home, LOST) for _ in range(MOST_QUEUED)]
        assert {job.record.state for job in jobs} == {"queued"}
        with pytest.raises(Full):
            await home.submit()


async def test_a_job_that_waits_for_its_model_keeps_no_other_from_running_and_can_be_stopped(tmp_path: Path) -> None:
    script, node = Script(), Fetching(POCKET)
    async with JobHome(tmp_path, work=script.work, colleagues=node) as home:
        doomed, unwanted = [await waiting(home, LOST) for _ in range(2)]
        other = await home.submit()
        await home.until_ended(other)
        assert other.record.state == "completed"
        assert (await home.jobs.cancel(unwanted.spec.job_id)).record.state == "cancelled"
        paused = await waiting(home, LOST)
        assert (await home.jobs.pause(paused.spec.job_id)).record.state == "paused"
        node.comes.set()
        await home.until_ended(doomed)
        assert (doomed.record.state, doomed.record.error) == ("failed", f"nobody has {NOWHERE}")
        assert paused.record.state == "paused"
        again = await home.submit()
        await home.until_ended(again)
        assert again.record.state == "completed"


async def test_a_job_that_had_its_model_keeps_its_turn_until_nodes_are_heard_after_a_restart(tmp_path: Path) -> None:
    script = Script()
    script.held = STAGES[0]
    async with JobHome(tmp_path, work=script.work, colleagues=Fetching(FETCHABLE, POCKET)) as home:
        older = await home.submit(model=HUB_NAME, offered=(FETCHABLE,))
        await script.reached.wait()
        younger = await home.submit()
    node = Fetching(POCKET)
    async with JobHome(tmp_path, work=Script().work, colleagues=node) as home:
        older, younger = (home.jobs.get(job.spec.job_id) for job in (older, younger))
        await node.looked_at.wait()
        node.held = (FETCHABLE, POCKET)
        await home.clock.run_for(1.0)
        await home.until(younger, lambda job: job.record.state == "running")
        assert older.record.state == "completed"


async def test_a_job_whose_model_is_served_does_not_wait_for_the_servers_of_its_home(tmp_path: Path) -> None:
    async def silent(_: Sequence[ModelPin]) -> None:
        await asyncio.Event().wait()

    async with JobHome(tmp_path, work=Script().work, colleagues=Fetching(POCKET, JUDGE), reopen=silent) as home:
        job = await home.submit(judge=JUDGE.name)
        await home.until_ended(job)
        assert job.record.state == "completed"
