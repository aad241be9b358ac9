"""Adoption: a person, or the time that the owner gave, puts another home in the place of a lost one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.unit.curation.cluster_world import World, executions, folder_of, goes_on, is_there, provisional_at_b, running

from realign_daemon.curation.custody import REST_S
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import record_to_json
from realign_daemon.errors import Ambiguous, NotFound, WrongState

AUTO_ADOPT_S = 60.0
A_MOMENT_S = 0.2  # of real time: an adoption that waits for nothing takes some 10 ms


async def test_a_person_makes_a_lost_home_s_job_final_and_the_home_agrees_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job, there = await provisional_at_b(world)
        provisional = there.record.output
        adopted = await b.custody.adopt(job.spec.job_id[:6])
        await b.home.until_ended(adopted)
        assert (adopted.claim.home, adopted.claim.voters, adopted.claim.instance) == ("b", ("b",), 1)
        assert (adopted.record.state, adopted.record.provisional, folder_of(adopted)) == ("completed", "", "curated")
        assert not is_there(provisional)
        with pytest.raises(WrongState, match="there is nothing to adopt"):
            await b.custody.adopt(job.spec.job_id)

        world.cut()
        await world.share()
        await world.look()
        assert not a.home.jobs.has(job.spec.job_id)
        assert (await a.stored(job)).claim == adopted.claim
        assert not executions(a) & executions(b)


async def test_only_a_lost_home_s_job_is_adopted(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        job = await world.nodes["a"].held()
        await world.nodes["a"].home.submit()
        await world.share()
        b = world.nodes["b"].custody
        with pytest.raises(WrongState, match=r"can be reached, or may be in a moment"):
            await b.adopt(job.spec.job_id)
        with pytest.raises(NotFound):
            await b.adopt("sft")
        with pytest.raises(NotFound):
            await b.adopt("")
        with pytest.raises(Ambiguous):
            await b.adopt("dpo-")
        assert await world.nodes["b"].home.decisions.standing(job.spec.job_id, 0) is None


async def test_a_home_that_lacks_its_majority_adopts_its_own_job(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a = world.nodes["a"]
        job = await a.held()
        world.cut("a")
        await goes_on(a, job)
        assert folder_of(job) == "provisional"
        assert "waits for b, c to confirm it" in job.record.provisional
        adopted = await a.custody.adopt(job.spec.job_id)
        await a.home.until_ended(adopted)
        assert (adopted.claim.voters, adopted.record.provisional, folder_of(adopted)) == (("a",), "", "curated")
        assert folder_of(job) == ""


async def test_all_jobs_of_a_node_that_is_gone_for_good_are_adopted_and_what_had_ended_stays(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        done = await a.home.submit()
        await a.home.until_ended(done)
        stands = await a.held()
        waits = await a.home.submit()
        own = await b.home.submit()
        await b.home.until_ended(own)
        await world.share()
        before = executions(b)
        world.cut("a")
        await b.custody.adopt_all("a")
        for job in (stands, waits):
            await b.home.until_ended(b.home.jobs.get(job.spec.job_id))
        ended = b.home.jobs.get(done.spec.job_id)
        assert (ended.record.decision, ended.record.ended_unix_s) == (done.record.decision, done.record.ended_unix_s)
        assert {job.claim.home for job in b.home.jobs.all()} == {"b"}
        assert {(job.record.state, job.record.provisional) for job in b.home.jobs.all()} == {("completed", "")}
        assert b.home.jobs.get(own.spec.job_id) is own
        assert not executions(a) & (executions(b) - before)


async def test_a_cancelled_job_that_was_not_final_is_adopted_as_it_ended_and_made_final(tmp_path: Path) -> None:
    async with running(tmp_path, "abcde") as world:
        a, b = world.nodes["a"], world.nodes["b"]
        job = await a.held()
        world.cut("a", "b")
        await a.home.jobs.cancel(job.spec.job_id)
        assert (job.record.state, folder_of(job)) == ("cancelled", "provisional")
        await world.share()
        world.cut("b")
        shutil.move(job.record.output, tmp_path / "another machine")
        await b.custody.adopt_all("a")
        adopted = b.home.jobs.get(job.spec.job_id)
        assert (adopted.record.state, adopted.record.output) == ("cancelled", ""), "nobody wants it run again"
        await world.look("b")
        assert adopted.record.provisional == ""
        assert adopted.record.decision is not None
        assert (adopted.record.decision.end, adopted.record.decision.instance) == ("cancelled", 1)
        assert "train_dpo" not in b.script.ran


async def test_an_adoption_stands_against_looks_that_know_nothing_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        b = world.nodes["b"]
        job, _ = await provisional_at_b(world)
        world.clock.advance(REST_S)
        async with asyncio.TaskGroup() as tasks:
            await b.custody.look(tasks)
            adopting = tasks.create_task(b.custody.adopt(job.spec.job_id))
            await b.custody.look(tasks)
        await b.look()
        assert b.home.jobs.get(job.spec.job_id) is adopting.result()
        assert adopting.result().claim == (await b.stored(job)).claim


async def test_an_adoption_waits_for_voters_who_are_asked_about_the_job_at_that_moment(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, _ = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        world.mute = {"c"}
        async with asyncio.TaskGroup() as tasks:
            await b.custody.look(tasks)
            adopting = tasks.create_task(b.custody.adopt(job.spec.job_id))
            assert not (await asyncio.wait({adopting}, timeout=A_MOMENT_S))[0]
            while not adopting.done():
                world.clock.advance(0.1)
                await asyncio.sleep(0)
        await b.look()
        assert b.home.jobs.get(job.spec.job_id) is adopting.result()
        assert adopting.result().claim.home == "b"


async def left_to_b(world: World) -> Job:
    """A job of "a", which is lost, that runs at "b" for the time being, and would be adopted by itself."""
    a, b = world.nodes.values()
    b.new_custody(auto_adopt_after_s=AUTO_ADOPT_S)
    job = await a.held()
    await world.share()
    world.cut("a")
    await world.look("b")
    return job


async def cancelled_at_b(world: World) -> Job:
    """The same, that somebody has cancelled there."""
    job = await left_to_b(world)
    await world.nodes["b"].home.jobs.cancel(job.spec.job_id)
    return job


@pytest.mark.parametrize("by", ["a person", "itself", "a person for all"])
async def test_a_cancelled_job_runs_again_only_where_a_person_adopts_that_very_job(tmp_path: Path, by: str) -> None:
    async with running(tmp_path, "ab") as world:
        b, job = world.nodes["b"], await cancelled_at_b(world)
        match by:
            case "a person":
                await b.custody.adopt(job.spec.job_id)
            case "itself":
                world.clock.advance(AUTO_ADOPT_S)
                await world.look("b")
            case _:
                await b.custody.adopt_all("a")
        await world.look("b")
        adopted = b.home.jobs.get(job.spec.job_id)
        await b.home.until_ended(adopted)
        assert (adopted.claim.home, adopted.record.provisional) == ("b", "")
        assert adopted.record.state == ("completed" if by == "a person" else "cancelled")


async def test_a_cancel_outlives_a_node_that_dies_as_it_adopts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, "ab") as world:
        b, job = world.nodes["b"], await cancelled_at_b(world)
        decided = b.home.decisions.adopt

        async def power_loss(*arguments: Any, **options: Any) -> Any:
            await decided(*arguments, **options)
            raise OSError("nothing after this moment was done")

        with monkeypatch.context() as patched:
            patched.setattr(b.home.decisions, "adopt", power_loss)
            world.clock.advance(AUTO_ADOPT_S)
            await world.look("b")
        b.new_custody()
        await world.look("b", "b")
        adopted = b.home.jobs.get(job.spec.job_id)
        await b.home.until_ended(adopted)
        assert (adopted.claim.home, adopted.record.state) == ("b", "cancelled")


async def test_a_machine_that_slept_counts_no_silence_of_a_home_before_it_adopts_its_jobs(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        b, job = world.nodes["b"], await left_to_b(world)
        world.clock.sleep_through(2 * AUTO_ADOPT_S)
        await world.look("b")
        assert b.home.jobs.get(job.spec.job_id).claim.home == "a"


async def test_a_job_that_was_adopted_as_it_had_ended_shows_no_files_of_another_job(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        done, other = await a.home.submit(), await b.home.submit()
        await a.home.until_ended(done)
        await b.home.until_ended(other)
        done.record.output = other.record.output  # both machines have the same folders
        await a.home.ledger.save_record(done.spec.job_id, record_to_json(done.record))
        await world.share()
        world.cut("a")
        await b.custody.adopt_all("a")
        adopted = b.home.jobs.get(done.spec.job_id)
        assert adopted.record.state == "completed"
        assert adopted.record.output != other.record.output
        assert not is_there(adopted.record.output)


async def test_a_job_adopts_itself_after_the_time_that_the_owner_gave(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        b.new_custody(auto_adopt_after_s=AUTO_ADOPT_S)
        job, there = await provisional_at_b(world)
        assert there.claim.home == "a"
        world.clock.advance(AUTO_ADOPT_S)
        await world.look("b")
        adopted = b.home.jobs.get(job.spec.job_id)
        await b.home.until_ended(adopted)
        assert (adopted.claim.home, adopted.record.provisional, folder_of(adopted)) == ("b", "", "curated")
        assert executions(a)
