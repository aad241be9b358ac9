"""Custody: a lost home's jobs go on elsewhere, and nothing is final that no majority stands behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.curation.cluster_world import executions, folder_of, goes_on, is_there, provisional_at_b, running

from realign_daemon.curation.custody import LOOK_EVERY_S, REST_S
from realign_daemon.curation.job import Job
from realign_daemon.curation.losses import NEVER_HEARD_S
from realign_daemon.curation.record import record_to_json
from realign_daemon.decision.value import Ended, Rehomed
from realign_daemon.errors import WrongState
from realign_daemon.housekeeping.folders import MARK
from realign_daemon.testing.job_home import DEADLINE_S

WORKED_AT_C_S = 1234.0


async def test_with_a_majority_the_job_of_a_lost_home_moves_to_the_fittest_node_which_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, c = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        await world.look("c")
        assert not c.home.jobs.has(job.spec.job_id), "it is the leader who decides where it goes"
        await world.look("b")
        await world.look("b", "c")
        assert not b.home.jobs.has(job.spec.job_id)
        moved = c.home.jobs.get(job.spec.job_id)
        await c.home.until_ended(moved)
        assert (moved.claim.home, moved.claim.voters, moved.claim.instance) == ("c", ("b", "c"), 1)
        assert (moved.record.state, moved.record.provisional, folder_of(moved)) == ("completed", "", "curated")
        assert moved.record.decision is not None
        assert moved.record.decision.instance == 1
        assert not executions(a) & executions(c), "nothing is computed twice"

        world.cut()
        await world.share()
        await world.look()
        assert not a.home.jobs.has(job.spec.job_id)
        for node in world.nodes.values():
            stored = await node.stored(job)
            assert (stored.claim, stored.record.state) == (moved.claim, "completed")


async def test_without_a_majority_it_runs_provisionally_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        job, there = await provisional_at_b(world)
        assert (there.record.state, there.record.decision, folder_of(there)) == ("completed", None, "provisional")
        assert there.record.provisional == (
            f"provisional: home 'a' unreachable since 08:00 UTC; `realignctl adopt {job.spec.job_id}` makes it final"
        )
        kept = await world.nodes["b"].stored(job)
        assert (kept.claim, kept.record.state) == (job.claim, "running"), "what the home said last stays"
        await world.look("b")
        assert world.nodes["b"].home.jobs.get(job.spec.job_id) is there


async def test_a_provisional_run_is_given_up_for_its_home_which_uses_its_results(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job, there = await provisional_at_b(world)
        folder = there.record.output
        with b.home.jobs.watch(there) as news:
            world.cut()
            await world.look()
            assert (await anext(news)).kind == "moved"
        assert not b.home.jobs.has(job.spec.job_id)
        assert not is_there(folder)
        await world.share()
        await goes_on(a, job)
        assert (job.record.state, job.record.provisional, folder_of(job)) == ("completed", "", "curated")
        assert executions(b)
        assert not executions(a) & executions(b)


async def test_a_provisional_run_ends_in_the_middle_when_its_home_is_heard(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        b.script.held = "train_dpo"
        await world.look("b")
        await b.script.reached.wait()
        there = b.home.jobs.get(job.spec.job_id)
        assert there.record.provisional, "it says so from the beginning"
        world.cut()
        await world.look("b")
        assert there.task is None or there.task.done()
        assert not b.home.jobs.has(job.spec.job_id)
        assert a.home.jobs.get(job.spec.job_id) is job


async def test_a_provisional_run_is_rehomed_as_soon_as_there_is_a_majority(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, c = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("b")
        await world.look("b")
        there = b.home.jobs.get(job.spec.job_id)
        await b.home.until_ended(there)
        assert folder_of(there) == "provisional"
        world.cut("a")
        await world.look("b")
        await world.look("b", "c")
        assert not b.home.jobs.has(job.spec.job_id)
        assert folder_of(there) == ""
        moved = c.home.jobs.get(job.spec.job_id)
        await c.home.until_ended(moved)
        assert (moved.record.provisional, folder_of(moved)) == ("", "curated")
        assert not executions(c) & (executions(a) | executions(b))


async def test_a_provisional_run_that_cannot_be_rehomed_is_given_up_at_once_when_its_home_is_heard(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, _ = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("b")
        await world.look("b")
        assert b.home.jobs.has(job.spec.job_id)
        world.cut("a")
        world.mute = {"c"}
        world.clock.advance(REST_S)
        looking = asyncio.create_task(b.look())
        while not looking.done():
            world.clock.advance(0.1)
            await asyncio.sleep(0)
        assert b.home.jobs.has(job.spec.job_id), "c gave no vote"
        world.cut()
        await b.look()
        assert not b.home.jobs.has(job.spec.job_id)


async def test_a_voter_that_gives_no_answer_keeps_no_other_job_waiting_and_its_own_only_while_it_is_asked(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, _ = world.nodes.values()
        world.cut("c")
        of_two = await a.held()
        world.cut()
        of_three = await a.home.submit()
        await world.share()
        world.cut("a")
        world.mute = {"c"}

        async def until_run(job: Job, *, step_s: float) -> None:
            async with asyncio.timeout(DEADLINE_S):
                while not b.home.jobs.has(job.spec.job_id):
                    world.clock.advance(step_s)
                    await asyncio.sleep(0)

        async with asyncio.TaskGroup() as tasks:
            await b.custody.look(tasks)
            await b.custody.look(tasks)
            await until_run(of_two, step_s=0.0)
            assert not b.home.jobs.has(of_three.spec.job_id), "c may answer yet"
            await until_run(of_three, step_s=0.1)
        assert b.home.jobs.get(of_three.spec.job_id).record.provisional


async def test_provisional_files_that_could_not_be_removed_at_once_are_removed_later(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        b = world.nodes["b"]
        _, there = await provisional_at_b(world)
        left = b.home.folder / "provisional" / "left"
        left.mkdir()
        (left / MARK).write_text("dpo-another")
        await world.look("b")
        assert not left.exists()
        assert is_there(there.record.output)


async def test_nothing_runs_provisionally_where_the_owner_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job = await a.held()
        await world.share()
        b.new_custody(is_provisional=False)
        world.cut("a")
        await world.look("b")
        assert not b.home.jobs.has(job.spec.job_id)


async def test_an_end_without_a_majority_becomes_final_when_the_voters_are_back(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a = world.nodes["a"]
        job = await a.held()
        world.cut("a")
        await goes_on(a, job)
        provisional = job.record.output
        assert (job.record.state, job.record.decision, folder_of(job)) == ("completed", None, "provisional")
        await world.look("a")
        assert job.record.provisional
        world.cut()
        with a.home.jobs.watch(job) as news:
            await world.look("a")
            told = await anext(news)
        assert (told.kind, told.text) == ("ended", f"{job.spec.job_id} is final: {job.record.output}")
        assert (job.record.provisional, folder_of(job)) == ("", "curated")
        assert job.record.summary is not None
        assert job.record.summary["output"]["path"] == f"{job.record.output}/train.jsonl"
        assert job.record.decision is not None
        assert not is_there(provisional)
        assert (await world.nodes["b"].stored(job)).record == job.record


async def test_a_run_after_a_provisional_end_is_final_and_leaves_nothing_provisional(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a = world.nodes["a"]
        job = await a.held()
        world.cut("a")
        await goes_on(a, job)
        provisional = job.record.output
        world.cut()
        again = await a.home.jobs.retry(job.spec.job_id, settings={}, override="", reason="", from_stage="")
        assert again.record.provisional == ""
        await a.home.until_ended(job)
        assert (job.record.provisional, folder_of(job), job.claim.instance) == ("", "curated", 0)
        assert not is_there(provisional)


@pytest.mark.parametrize("names", ["abc", "ab"])
async def test_a_job_that_ended_for_good_is_left_alone(tmp_path: Path, names: str) -> None:
    async with running(tmp_path, names) as world:
        a, b, *_ = world.nodes.values()
        job = await a.home.submit()
        await a.home.until_ended(job)
        await world.share()
        world.cut("a")
        await world.look()
        for node in world.nodes.values():
            stands = await node.home.decisions.standing(job.spec.job_id, 0)
            assert stands is not None
            assert isinstance(stands.value, Ended)
        assert not b.home.jobs.has(job.spec.job_id)
        assert (await b.stored(job)).claim == job.claim


async def test_a_retry_of_a_job_that_has_moved_away_is_refused_and_makes_its_end_no_final_one(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a = world.nodes["a"]
        job = await a.held()
        await world.share()
        world.cut("a")
        await goes_on(a, job)
        await world.look("b")
        world.cut()
        await world.share()
        before = job.record.provisional
        with pytest.raises(WrongState, match="has got another home"):
            await a.home.jobs.retry(job.spec.job_id, settings={"beta": "1"}, override="", reason="", from_stage="")
        assert before
        assert (job.record.provisional, job.spec.settings) == (before, {})


async def test_a_job_that_ended_before_its_record_came_is_not_moved(tmp_path: Path) -> None:
    async with running(tmp_path, "abc") as world:
        a, b, c = world.nodes.values()
        job = await a.held()
        await world.share()
        world.apart = frozenset({"c"})
        await goes_on(a, job)
        world.cut("a")
        await world.look("b")
        stands = await b.home.decisions.standing(job.spec.job_id, 0)
        assert stands is not None
        assert isinstance(stands.value, Ended), "b had voted for it, and does not forget that"
        assert not c.home.jobs.has(job.spec.job_id)
        assert (await b.stored(job)).claim == job.claim


async def test_a_job_that_somebody_paused_is_not_taken_over(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job = await a.held()
        await a.home.jobs.pause(job.spec.job_id)
        await world.share()
        world.cut("a")
        await world.look("b")
        assert not b.home.jobs.has(job.spec.job_id)


@pytest.mark.parametrize("names", ["abc", "ab"])
async def test_a_home_that_was_never_heard_is_gone_after_a_while_only(tmp_path: Path, names: str) -> None:
    async with running(tmp_path, names) as world:
        a, b = world.nodes["a"], world.nodes["b"]
        job = await a.held()
        await world.share()
        world.cut("a")
        world.never_heard = {"a"}
        custody = b.new_custody()
        for seconds in (0.0, NEVER_HEARD_S):
            world.clock.advance(seconds)
            await b.look()
            assert not b.home.jobs.has(job.spec.job_id)
            assert (await b.stored(job)).claim == job.claim
            with pytest.raises(WrongState, match="or may be in a moment"):
                await custody.adopt(job.spec.job_id)
        world.clock.advance(LOOK_EVERY_S)
        await b.look()
        if names == "ab":
            assert "unreachable since this daemon started" in b.home.jobs.get(job.spec.job_id).record.provisional
        else:
            stands = await b.home.decisions.standing(job.spec.job_id, 0)
            assert stands is not None
            assert stands.value == Rehomed(home="c", voters=("b", "c"))


async def test_a_home_goes_on_with_a_job_that_came_back_to_it(tmp_path: Path) -> None:
    async with running(tmp_path, "abcd") as world:
        a, _, c, d = world.nodes.values()
        job = await d.held()
        await world.share()
        world.cut("d")
        c.script.held = "train_dpo"
        await world.look("a")
        await world.look("c")
        await c.script.reached.wait()
        there = c.home.jobs.get(job.spec.job_id)
        there.record.worked_s = WORKED_AT_C_S
        await c.home.ledger.save_record(job.spec.job_id, record_to_json(there.record), of=there.claim)
        await world.share()
        world.cut("c")
        await world.share()
        await world.look("a")
        await world.look("d")
        again = d.home.jobs.get(job.spec.job_id)
        assert (again.claim.home, again.claim.voters, again.claim.instance) == ("d", ("a", "b", "d"), 2)
        assert again is not job, "what was done to it elsewhere is read anew"
        assert again.record.worked_s >= WORKED_AT_C_S
        await goes_on(d, again)
        assert again.record.provisional == ""
        assert again.record.decision is not None
        assert again.record.decision.instance == 2
        assert (await a.stored(job)).claim == (await d.stored(job)).claim


async def test_custody_goes_on_after_looks_that_failed(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        job = await a.held()
        await world.share()
        world.cut("a")
        await b.home.database.run(lambda connection: connection.execute("ALTER TABLE jobs RENAME TO gone"))
        custody = asyncio.create_task(b.custody.run())
        try:
            await world.clock.run_for(3 * LOOK_EVERY_S)
            assert not b.home.jobs.has(job.spec.job_id)
            await b.home.database.run(lambda connection: connection.execute("ALTER TABLE gone RENAME TO jobs"))
            async with asyncio.timeout(DEADLINE_S):
                while not b.home.jobs.has(job.spec.job_id):
                    await world.clock.run_for(LOOK_EVERY_S)
        finally:
            custody.cancel()
