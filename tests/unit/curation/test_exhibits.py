"""Exhibits: what stages have made can be looked at while a run goes on, also before it has made it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.curation.jobs_world import Script

from realign_daemon.curation.job import Job
from realign_daemon.curation.written import SAMPLE_ITEMS, some
from realign_daemon.testing.job_home import JobHome

AGAIN: dict[str, Any] = {"settings": {}, "override": "", "reason": "", "from_stage": ""}


async def shown(home: JobHome, job: Job, stage: str) -> list[dict[str, Any]]:
    return (await home.data_sets.sample(job, n=5, stage=stage, rejected=False)).items


def hold(script: Script, stage: str) -> None:
    script.held = stage
    script.reached.clear()


async def test_what_stages_made_can_be_seen_after_a_restart_until_they_have_made_it_anew(tmp_path: Path) -> None:
    script = Script()
    hold(script, "train_dpo")
    async with JobHome(tmp_path, work=script.work) as home:
        job_id = (await home.submit()).spec.job_id
        await script.reached.wait()
    hold(script, "sft_baseline")
    async with JobHome(tmp_path, work=script.work) as home:
        await script.reached.wait()
        job = home.jobs.get(job_id)
        assert job.material is not None
        assert job.material.exhibits == {}
        assert await shown(home, job, "score_pairs") == [{"made": "score_pairs"}]
        assert await shown(home, job, "train_dpo") == []


async def test_the_pilots_work_can_be_seen_until_the_run_has_its_own(tmp_path: Path) -> None:
    script = Script()
    hold(script, "sft_baseline")
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await script.reached.wait()
        assert await shown(home, job, "validate_gaps") == [{"made": "validate_gaps"}]


async def test_a_retry_shows_what_the_run_before_it_wrote(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await home.until_ended(job)
        assert job.record.exhibits == {}, "they lie in the folder"
        hold(script, "sft_baseline")
        await home.jobs.retry(job.spec.job_id, **AGAIN)
        await script.reached.wait()
        assert await shown(home, job, "evaluate") == [{"made": "evaluate"}]


def test_some_of_a_stages_work_is_spread_over_all_of_it() -> None:
    items = [{"n": number} for number in range(100)]
    assert some({"s": items, "few": items[:2]}) == {"s": items[:: 100 // SAMPLE_ITEMS], "few": items[:2]}
