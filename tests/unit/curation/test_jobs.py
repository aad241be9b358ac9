"""Jobs: queued, run, paused, cancelled, retried and taken up again, on a real ledger with a scripted engine."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.curation.jobs_world import UNITS, WORKFLOW, Script

from realign_daemon.curation.events import JobNews
from realign_daemon.curation.job import Job
from realign_daemon.curation.jobs import ROOM_RETRY_S
from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.curation.written import Written
from realign_daemon.engine.api import Sha256
from realign_daemon.errors import BadInput, Full, NotFound, WrongState
from realign_daemon.testing.job_home import MOST_QUEUED, JobHome
from realign_daemon.testing.scripted_desk import job_spec
from realign_planner.gates import Measure

STAGES = [stage.name for stage in WORKFLOW.stages]
ALL_UNITS = UNITS * len(STAGES)
REJECTED = {"agreement_rate": Measure(metric="agreement_rate", value=0.1, low=0.05, high=0.15, n=1000)}
AGAIN: dict[str, Any] = {"settings": {}, "override": "", "reason": "", "from_stage": ""}
OVERRIDE: dict[str, Any] = {"override": "agreement_rate", "reason": "a trial"}


def summary_of(job: Job) -> dict[str, Any]:
    return json.loads((Path(job.record.output) / "summary.json").read_text())


def questions_of(job: Job) -> list[str]:
    lines = (Path(job.record.output) / "train.jsonl").read_text().splitlines()
    return [json.loads(line)["prompt"] for line in lines]


def executions(home: JobHome) -> list[str]:
    with sqlite3.connect(home.folder / "ledger.sqlite") as connection:
        return [row[0] for row in connection.execute("SELECT unit_key FROM executions WHERE outcome='done'")]


async def held(home: JobHome, script: Script, stage: str) -> Job:
    """A job that stands in this stage of its run."""
    script.held = stage
    script.reached.clear()
    job = await home.submit()
    await script.reached.wait()
    return job


async def test_a_job_runs_its_stages_and_its_files_are_there_when_it_has_ended(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await home.until_ended(job)
        assert (job.record.state, job.record.error, script.ran) == ("completed", "", STAGES)
        assert questions_of(job) == ["1+1="]
        assert summary_of(job)["state"] == "completed"
        assert len(executions(home)) == len(set(executions(home))) == ALL_UNITS


async def test_jobs_run_one_after_the_other_and_the_queue_has_an_end(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        first = await held(home, script, "train_dpo")
        waiting = [await home.submit() for _ in range(MOST_QUEUED)]
        with pytest.raises(Full, match="3 jobs are queued here already"):
            await home.submit()
        assert {job.record.state for job in waiting} == {"queued"}
        script.held = ""
        await home.jobs.cancel(first.spec.job_id)
        for job in waiting:
            await home.until_ended(job)
        assert [job.record.state for job in home.jobs.all()] == ["cancelled", *["completed"] * MOST_QUEUED]


async def test_the_same_submission_is_the_same_job(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        first = await home.submit(client_token="t")
        assert await home.submit(client_token="t") is first
        assert home.jobs.get(first.spec.job_id[:6]) is first
        with pytest.raises(NotFound):
            home.jobs.get("sft-1")


async def test_a_cancelled_job_writes_what_it_had_made_and_says_so_when_the_files_are_there(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        with home.jobs.watch(job) as news:
            await home.jobs.cancel(job.spec.job_id)
            kinds = [item.kind async for item in news_until_ended(news)]
        assert kinds[-1] == "ended"
        assert job.record.state == "cancelled"
        assert job.record.exit_code == 1
        assert questions_of(job) == ["1+1="]
        assert summary_of(job)["state"] == "cancelled"
        rejected = (Path(job.record.output) / "rejected.jsonl").read_text().splitlines()
        assert {json.loads(line)["stage"] for line in rejected} == set(STAGES[:4])
        assert await home.data_sets.questions(job) == ["1+1="]
        assert (await home.jobs.cancel(job.spec.job_id)).record.ended_unix_s > 0, "again changes nothing"


async def news_until_ended(news: AsyncIterator[JobNews]) -> AsyncIterator[JobNews]:
    async for item in news:
        yield item
        if item.kind == "ended":
            return


async def test_a_queued_job_that_is_cancelled_ends_at_once_without_files(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        running = await held(home, script, "train_dpo")
        job = await home.submit()
        await home.jobs.cancel(job.spec.job_id)
        assert (job.record.state, job.record.output) == ("cancelled", "")
        assert job.record.ended_unix_s > 0
        assert running.record.state == "running"


async def test_a_paused_job_that_is_cancelled_writes_what_lies_on_its_desk(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        await home.jobs.pause(job.spec.job_id)
        await home.jobs.cancel(job.spec.job_id)
        assert (job.record.state, questions_of(job)) == ("cancelled", ["1+1="])


async def test_a_cancelled_retry_leaves_the_larger_files_of_the_earlier_run(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await home.until_ended(job)
        script.held = "generate_responses"
        await home.jobs.retry(job.spec.job_id, **AGAIN)
        await script.reached.wait()
        await home.jobs.cancel(job.spec.job_id)
        assert job.record.state == "cancelled"
        assert (questions_of(job), summary_of(job)["state"]) == (["1+1="], "completed")


async def test_files_that_cannot_be_written_leave_a_cancelled_job_cancelled_with_the_reason(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        (tmp_path / "curated").write_text("a file in the way")
        await home.jobs.cancel(job.spec.job_id)
        assert (job.record.state, job.record.output) == ("cancelled", "")
        assert "could not be written" in job.record.error


@pytest.mark.parametrize("turns", [*range(0, 40, 2), 60, 100])
async def test_writing_that_is_cancelled_at_any_moment_leaves_a_whole_folder_or_none(
    tmp_path: Path, turns: int
) -> None:
    home = JobHome(tmp_path)
    spec, record = job_spec(), JobRecord()
    nothing = Written(rows=(), dropped=(), exhibits={})
    writing = asyncio.create_task(home.output.put(spec, record, nothing, state="completed"))
    for _ in range(turns):
        await asyncio.sleep(0)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    folder = tmp_path / "curated" / spec.folder_name
    assert not folder.exists() or (folder / "summary.json").is_file()
    assert not folder.with_name(f".{folder.name}.part").exists(), "nobody writes any more"
    await home.output.put(spec, record, nothing, state="cancelled")
    assert json.loads((folder / "summary.json").read_text())["state"] == "cancelled"


async def test_a_paused_job_goes_on_where_it_was(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        await home.jobs.pause(job.spec.job_id)
        assert (job.record.state, job.record.paused_by) == ("paused", "hand")
        assert await home.jobs.pause(job.spec.job_id) is job
        with pytest.raises(WrongState, match="is paused; only a job that has ended"):
            await home.jobs.retry(job.spec.job_id, **AGAIN)
        script.held = ""
        await home.jobs.resume(job.spec.job_id)
        await home.until_ended(job)
        assert job.record.state == "completed"
        assert len(executions(home)) == len(set(executions(home))) == ALL_UNITS
        for order in (home.jobs.pause, home.jobs.resume):
            with pytest.raises(WrongState, match="completed"):
                await order(job.spec.job_id)


async def test_a_job_waits_after_its_pilot_where_it_was_asked_to(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit(pilot="only")
        await home.until(job, lambda job: job.record.state == "paused")
        assert (job.record.paused_by, script.ran) == ("pilot", [])
        await home.jobs.pause(job.spec.job_id)
        assert job.record.paused_by == "pilot", "it waits for a word all the same"
        await home.jobs.resume(job.spec.job_id)
        await home.until_ended(job)
        assert job.record.state == "completed"


async def test_a_pilot_that_surely_rejects_blocks_the_job_and_what_it_made_is_written(tmp_path: Path) -> None:
    script = Script(measured=REJECTED)
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await home.until_ended(job)
        assert (job.record.state, script.ran) == ("blocked", [])
        assert job.record.error.startswith("the gate agreement_rate rejects in the pilot: ")
        assert summary_of(job)["state"] == "blocked"


async def test_a_blocked_job_is_tried_again_with_its_gate_overridden_and_reuses_what_it_had(tmp_path: Path) -> None:
    script = Script(measured=REJECTED)
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await home.until_ended(job)
        job_id = job.spec.job_id
        wrong: list[dict[str, Any]] = [
            {"override": "agreement_rate"},
            {"from_stage": "lunch"},
            {"settings": {"b": "1"}},
        ]
        for change in wrong:
            with pytest.raises(BadInput):
                await home.jobs.retry(job_id, **AGAIN | change)
        await home.jobs.retry(job_id, **AGAIN | OVERRIDE)
        await home.until_ended(job)
        assert job.record.state == "completed"
        (judged,) = [gate for gate in summary_of(job)["gates"] if gate["metric"] == "agreement_rate"]
        assert (judged["tier"], judged["overridden_because"]) == ("REJECT", "a trial")
        assert len(executions(home)) == len(set(executions(home))) == ALL_UNITS


async def test_a_restarted_daemon_takes_its_jobs_up_from_the_ledger_and_computes_nothing_twice(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        queued = await home.submit()
        done_before = executions(home)
    script.held = ""
    async with JobHome(tmp_path, work=script.work, clock=home.clock) as home:
        for name in (job.spec.job_id, queued.spec.job_id):
            await home.until_ended(home.jobs.get(name))
            assert home.jobs.get(name).record.state == "completed"
        assert home.jobs.get(job.spec.job_id).spec == job.spec
        after = executions(home)
        assert len(after) == len(set(after)) == ALL_UNITS
        assert set(done_before) < set(after)


async def test_a_job_that_was_cancelled_stays_so_over_a_restart(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        await home.jobs.cancel(job.spec.job_id)
    async with JobHome(tmp_path, work=script.work) as home:
        again = home.jobs.get(job.spec.job_id)
        assert (again.record.state, again.record.output) == ("cancelled", job.record.output)
        assert again.record.ended_unix_s == job.record.ended_unix_s


async def test_a_job_whose_disk_is_full_waits_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "curated").write_text("a file in the way stands for a disk without room")
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await home.submit()
        await home.until(job, lambda job: job.record.state == "paused")
        assert job.record.paused_by == "disk"
        assert job.record.error.startswith("the home's disk can't be written")
        assert await home.decisions.standing(job.spec.job_id, 0) is not None
        assert job.record.decision is None, "it has not ended before its files are there"
        (tmp_path / "curated").unlink()
        await home.jobs.resume(job.spec.job_id)
        await home.until_ended(job)
        assert (job.record.state, job.record.error) == ("completed", "")


async def test_a_job_that_the_disk_paused_goes_on_by_itself_once_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "curated").write_text("a file in the way stands for a disk without room")
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await home.submit()
        by_hand = await home.submit(pilot="only")
        await home.until(by_hand, lambda job: job.record.state == "paused")
        with home.jobs.watch(job) as news:
            home.clock.advance(ROOM_RETRY_S)
            while (await anext(news)).kind != "warning":  # there is no room yet
                pass
        assert (job.record.state, job.record.paused_by) == ("paused", "disk")
        (tmp_path / "curated").unlink()
        home.clock.advance(ROOM_RETRY_S)
        await home.until_ended(job)
        assert (job.record.state, job.record.error) == ("completed", "")
        assert (by_hand.record.state, by_hand.record.paused_by) == ("paused", "pilot"), "that waits for a word"
        assert len(executions(home)) == len(set(executions(home)))


async def test_a_cancel_that_could_not_be_saved_is_a_cancel_and_no_failed_job(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        await home.database.run(lambda connection: connection.execute("ALTER TABLE records RENAME TO gone"))
        with pytest.raises(sqlite3.OperationalError):
            await home.jobs.cancel(job.spec.job_id)
        await job.closed.wait()
        await home.database.run(lambda connection: connection.execute("ALTER TABLE gone RENAME TO records"))
        assert job.record.state == "cancelled"


async def test_a_cancel_that_could_not_be_decided_is_not_taken_for_final(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await held(home, script, "train_dpo")
        await home.database.run(lambda connection: connection.execute("ALTER TABLE ballots RENAME TO gone"))
        await home.jobs.cancel(job.spec.job_id)
        await home.database.run(lambda connection: connection.execute("ALTER TABLE gone RENAME TO ballots"))
        assert (job.record.state, job.record.decision) == ("cancelled", None)
        assert job.record.provisional.startswith("provisional: ")
        with pytest.raises(WrongState, match="not confirmed"):
            await home.jobs.retry(job.spec.job_id, **AGAIN)


async def test_a_defect_in_a_stage_fails_the_job_and_the_next_one_runs(tmp_path: Path) -> None:
    script = Script(measured={"preference_gap": Measure(metric="no_such_metric", value=1.0, n=1)})
    async with JobHome(tmp_path, work=script.work) as home:
        first, second = await home.submit(), await home.submit()
        for job in (first, second):
            await home.until_ended(job)
            assert job.record.state == "failed"


async def test_gates_that_had_too_few_data_are_the_first_warning(tmp_path: Path) -> None:
    script = Script(n=3)
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        with home.jobs.watch(job) as news:
            texts = [item.text async for item in news_until_ended(news)]
        assert job.record.state == "completed"
        few = [gate for gate in job.record.gates if gate.tier == "INSUFFICIENT"]
        line = f"{len(few)} of {len(job.record.gates)} gates had too few data to judge by ("
        assert few
        assert summary_of(job)["warnings"][0].startswith(line)
        assert line in texts[-1]


async def test_a_job_keeps_its_thresholds_and_a_retry_says_where_this_version_has_others(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        job = await home.submit()
        await home.until_ended(job)
        assert job.spec.thresholds["preference_gap.high"] == "0.15"
        assert not any("thresholds" in warning for warning in job.record.warnings)
        older = {**job.spec.thresholds, "preference_gap.high": "0.2", "charm.high": "1"}
        del older["agreement_rate.min_n"]
        job.spec = replace(job.spec, thresholds=older)
        told = await home.jobs.retry(job.spec.job_id, **AGAIN)
        warning = (
            "the job is judged by the thresholds in its spec, and realign 1 has others (preference_gap.high 0.2, now "
            "0.15; agreement_rate.min_n 100 is new; charm.high 1 is no more): --set takes over those that you prefer"
        )
        assert told.record.warnings[0] == warning
        await home.until_ended(job)
        assert job.spec.thresholds["preference_gap.high"] == "0.2"
        assert summary_of(job)["warnings"][0].startswith("the job is judged by the thresholds in its spec")


async def test_a_printed_spec_keeps_its_thresholds_when_it_is_submitted_again(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await home.submit(thresholds={"preference_gap.high": "0.2"})
        assert job.spec.thresholds["preference_gap.high"] == "0.2"
        assert "preference_gap.high 0.2, now 0.15" in job.record.warnings[0]
        with pytest.raises(BadInput, match="wrong side"):
            await home.submit(thresholds={"preference_gap.high": "0.05"})


async def test_data_that_comes_in_after_the_last_stage_is_refused_at_submit(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        data = SourceSpec(name="d.jsonl", sha256=Sha256("5a" * 32), size_bytes=1)
        with pytest.raises(BadInput, match="--until generate_responses ends before score_pairs"):
            await home.submit(sources=(), data=data, until="generate_responses")
        assert home.jobs.all() == ()
