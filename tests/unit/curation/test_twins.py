"""Jobs that one submit made twice name each other, and both stay: nobody knows which one its owner was told of."""

from __future__ import annotations

from pathlib import Path

from tests.unit.curation.cluster_world import goes_on, running

from realign_daemon.curation.job import Job


def told_of(job: Job, other: Job) -> bool:
    return any(f"as {other.spec.job_id}: cancel the job that you do not need" in one for one in job.record.warnings)


async def test_a_submit_that_two_nodes_took_shows_in_both_jobs_once_they_hear_of_each_other(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        a.script.held = "train_dpo"
        world.cut("a")
        first = await a.home.submit(client_token="t")
        await a.script.reached.wait()
        second = await b.home.submit(client_token="t")
        await b.home.until_ended(second)
        world.cut()
        await world.share()
        await world.look()
        assert told_of(first, second)
        assert told_of(second, first)
        assert not told_of(first, first)
        assert (await a.stored(second)).record == second.record, "one that has ended says so for good"
        await goes_on(a, first)
        assert not told_of(first, second), "a run begins without warnings"
        await world.look()
        assert told_of(first, second)
        assert {first.record.state, second.record.state} == {"completed"}


async def test_jobs_of_other_submits_are_no_twins(tmp_path: Path) -> None:
    async with running(tmp_path, "ab") as world:
        a, b = world.nodes.values()
        jobs = [await a.home.submit(client_token="t"), await b.home.submit(client_token="t2")]
        for node, job in zip((a, b), jobs, strict=True):
            await node.home.until_ended(job)
        await world.share()
        await world.look()
        assert not [text for job in jobs for text in job.record.warnings if "same submit" in text]
