"""How a job ends is for its voters to decide: what comes of proposing it, on real ledgers of several nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.curation.cluster_world import World, running

from realign_daemon.curation.endings import Elsewhere, End, Final, Provisional
from realign_daemon.curation.job import Job, job_of
from realign_daemon.curation.record import Decided, JobRecord, record_to_json
from realign_daemon.curation.spec import to_json
from realign_daemon.decision.claim import Claim
from realign_daemon.decision.value import Ended, Rehomed, Value, manifest
from realign_daemon.engine.api import Sha256
from realign_daemon.testing.scripted_desk import job_spec
from realign_daemon.work.job_rows import StoredJob
from realign_daemon.work.ledger import StoredResult
from realign_daemon.work.units import UnitKey

VOTERS = ("a", "b", "c")
DIGEST = Sha256("d" * 64)
DONE = Ended(state="completed", manifest=DIGEST)
FAILED = Ended(state="failed", manifest=DIGEST)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, "abc") as world:
        yield world


async def job_at(world: World, home: str = "a") -> Job:
    """A job of all three that this node has, and that is not run by itself."""
    spec = job_spec()
    stored = StoredJob(
        job_id=spec.job_id,
        client_token="t",
        spec=to_json(spec),
        record=record_to_json(JobRecord()),
        created_unix_s=1.0,
        voters=VOTERS,
    )
    return job_of(await world.nodes[home].home.ledger.add_job(stored))


async def settle(world: World, job: Job, node: str = "a") -> End:
    return await world.nodes[node].home.endings.settle(job, "completed", DIGEST)


async def decided(world: World, job: Job, value: Value, *, by: str = "a") -> None:
    """Has the voters decide this of the job's instance."""
    claim = job.claim
    stands = await world.nodes[by].home.decisions.decide(
        job.spec.job_id, claim.instance, claim.home, claim.voters, value, config_epoch=claim.config_epoch
    )
    assert stands == value


async def test_an_end_that_the_voters_decide_as_proposed_is_final(world: World) -> None:
    job = await job_at(world)
    assert world.nodes["a"].home.endings.may_be_decided(job)
    end = await settle(world, job)
    assert end == Final(decision=Decided(instance=0, config_epoch=0, end="completed", manifest=DIGEST))
    assert await settle(world, job) == end, "asked again, as after a crash, it is the same"


async def test_the_end_of_a_job_in_a_minority_is_provisional_and_says_who_is_missing(world: World) -> None:
    job = await job_at(world)
    world.cut("a")
    assert not world.nodes["a"].home.endings.may_be_decided(job)
    end = await settle(world, job)
    assert isinstance(end, Provisional)
    assert end.reason == (
        f"provisional: the end of {job.spec.job_id} waits for b, c to confirm it; it becomes final when they are back, "
        f"or by `realignctl adopt {job.spec.job_id}` if they are gone for good"
    )
    world.cut()
    await decided(world, job, FAILED, by="b")


async def test_voters_that_are_heard_and_give_no_answer_are_missing_too(world: World) -> None:
    job = await job_at(world)
    world.mute = {"b", "c"}
    settling = asyncio.create_task(settle(world, job))
    while not settling.done():
        world.clock.advance(1.0)
        await asyncio.sleep(0)
    end = settling.result()
    assert isinstance(end, Provisional)
    assert "waits for b, c to confirm it" in end.reason


async def test_another_end_that_the_home_got_decided_before_it_died_is_followed_by_the_next_instance(
    world: World,
) -> None:
    job = await job_at(world)
    await decided(world, job, FAILED)
    end = await settle(world, job)
    assert end == Final(decision=Decided(instance=1, config_epoch=0, end="completed", manifest=DIGEST))
    assert job.claim == Claim(home="a", voters=VOTERS, instance=1)
    assert await world.nodes["a"].home.ledger.claims() == {job.spec.job_id: job.claim}


async def test_a_job_that_got_another_home_meanwhile_is_elsewhere(world: World) -> None:
    job = await job_at(world)
    await decided(world, job, Rehomed(home="c", voters=VOTERS), by="b")
    assert await settle(world, job) == Elsewhere()
    assert (await world.nodes["a"].home.ledger.claims())[job.spec.job_id].home == "c"


async def test_a_job_that_was_removed_is_elsewhere_and_nobody_is_asked(world: World) -> None:
    job = await job_at(world)
    await world.nodes["a"].home.ledger.remove_job(job.spec.job_id, by="me", at_unix_s=1.0)
    assert await settle(world, job) == Elsewhere()  # the clock stands still: it would wait for ever


async def test_a_job_of_another_home_is_not_decided_here(world: World) -> None:
    job = await job_at(world)
    await world.share()
    job.record.provisional = "provisional: home 'a' unreachable"
    assert not world.nodes["b"].home.endings.may_be_decided(job)
    assert await settle(world, job, node="b") == Provisional(reason=job.record.provisional)
    assert await world.nodes["b"].home.decisions.standing(job.spec.job_id, 0) is None


async def test_a_job_that_is_tried_again_is_voted_on_by_those_who_live_then(world: World) -> None:
    job = await job_at(world)
    endings = world.nodes["a"].home.endings
    await settle(world, job)
    world.cut("c")
    assert await endings.begin_next(job)
    assert job.claim == Claim(home="a", voters=("a", "b"), instance=1)
    assert await endings.begin_next(job), "nothing was decided of it yet: it is the one to go on with"
    assert job.claim.instance == 1


async def test_the_instance_after_an_adopted_one_keeps_its_config_epoch(world: World) -> None:
    job = await job_at(world)
    a = world.nodes["a"].home
    standing = await a.decisions.adopt(job.spec.job_id, 0, "a", VOTERS)
    await world.share()
    stored = await a.ledger.job(job.spec.job_id)
    assert stored is not None
    job = job_of(stored)
    assert (job.claim.instance, job.claim.config_epoch) == (1, standing.config_epoch)
    assert isinstance(await settle(world, job), Final)
    assert await a.endings.begin_next(job)
    assert job.claim == Claim(home="a", voters=VOTERS, config_epoch=standing.config_epoch, instance=2)
    end = await settle(world, job)
    assert isinstance(end, Final)
    assert (end.decision.instance, end.decision.config_epoch) == (2, standing.config_epoch)


async def test_no_instance_is_begun_of_a_job_that_has_another_home_or_is_removed(world: World) -> None:
    job = await job_at(world)
    await decided(world, job, Rehomed(home="c", voters=VOTERS))
    assert not await world.nodes["a"].home.endings.begin_next(job)
    await world.share()
    there = await world.nodes["c"].stored(job)
    await decided(world, there, FAILED, by="c")
    await world.nodes["a"].home.ledger.remove_job(job.spec.job_id, by="me", at_unix_s=1.0)
    await world.share()
    assert (
        await world.nodes["c"].home.ledger.begin_next(job.spec.job_id, after=1, voters=VOTERS, config_epoch=0) is None
    )


async def test_a_manifest_says_with_which_results_a_job_ended_and_what_it_gave_up(world: World) -> None:
    job = await job_at(world)
    a = world.nodes["a"].home
    result = StoredResult(
        key=UnitKey("u"), kind="generated", result=b"v", node="a", started_unix_s=1.0, busy_s=1.0, tokens=1
    )
    await a.ledger.add_results([result], now_unix_s=1.0, computed=True)
    units = [(UnitKey("u"), "done"), (UnitKey("lost"), "quarantined")]
    await a.ledger.set_job_units(job.spec.job_id, "chunk", units)
    used = await a.ledger.used(job.spec.job_id)
    assert await a.endings.manifest(job) == manifest(used, [UnitKey("lost")]) != manifest(used, [])
