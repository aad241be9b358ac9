"""A job whose home is lost is cancelled where it runs, and where it goes on: nobody has to ask twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.curation.cluster_world import folder_of, running

from realign_daemon.housekeeping.folders import MARK


async def test_a_cancel_that_is_being_written_when_a_run_is_given_up_leaves_no_files(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        b.script.held = "train_dpo"
        await world.look("b")
        await b.script.reached.wait()
        there = b.home.jobs.get(job.spec.job_id)
        cancelling = asyncio.create_task(b.home.jobs.cancel(job.spec.job_id))
        await asyncio.sleep(0)
        assert not there.closed.is_set()
        world.cut()
        await b.look()
        await cancelling
        assert there.closed.is_set()
        assert not b.home.jobs.has(job.spec.job_id)
        assert not list((b.home.folder / "provisional").glob(f"*/{MARK}"))


async def test_a_wish_to_cancel_is_honoured_by_who_runs_the_job_and_by_its_home_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        b.script.held = "train_dpo"
        await world.look("b")
        await b.script.reached.wait()
        await b.custody.ask_to_cancel(await b.stored(job), by="me")
        await world.look("b")
        there = b.home.jobs.get(job.spec.job_id)
        assert (there.record.state, folder_of(there)) == ("cancelled", "provisional")
        world.cut()
        await world.share()
        await world.look()
        assert (job.record.state, job.record.provisional) == ("cancelled", "")
        assert job.record.decision is not None
        assert job.record.decision.end == "cancelled"


async def test_a_wish_to_cancel_is_honoured_at_the_home_that_a_job_gets(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, c = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        await b.custody.ask_to_cancel(await b.stored(job), by="me")
        await world.look("b")
        await world.look("c")
        moved = c.home.jobs.get(job.spec.job_id)
        assert (moved.claim.home, moved.record.state, moved.record.provisional) == ("c", "cancelled", "")
        assert moved.record.decision is not None
