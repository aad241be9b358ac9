"""A sweep over a real ledger and real files: what a removed job leaves goes, what others use stays."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from tests.unit.curation.jobs_world import Script

from realign_daemon.curation.job import Job
from realign_daemon.engine.api import Sha256
from realign_daemon.housekeeping import inventory
from realign_daemon.housekeeping.burials import Burials
from realign_daemon.housekeeping.folders import files_of, remove_folders
from realign_daemon.housekeeping.garbage import ARRIVING_S, KEPT_S, UNNAMED_S
from realign_daemon.housekeeping.sweep import LOOK_EVERY_S, Amount, Sweep, Swept, Used, keep
from realign_daemon.models.store import ARRIVING, GONE, ModelStore
from realign_daemon.testing.job_home import JobHome


class NoUploads:
    def sweep(self) -> None:
        """Nothing was sent."""


def sweep_of(home: JobHome, used: Used | None = None) -> Sweep:
    async def ask(_homes: frozenset[str]) -> Used:
        return used or Used()

    return Sweep(
        node_id="home",
        database=home.database,
        blobs=home.blobs,
        checkpoints=home.folder / "checkpoints",
        uploads=NoUploads(),
        arriving=ModelStore(home.folder, now_unix_s=0.0),
        ask_homes=ask,
        clock=home.clock,
    )


async def ended(home: JobHome, text: str = "Sums are easy.") -> Job:
    job = await home.submit(text)
    await home.until_ended(job)
    return job


def grow_old(home: JobHome, seconds: float) -> None:
    """Lets time pass, for files too: theirs is the machine's."""
    home.clock.advance(seconds)
    then = home.clock.unix() - seconds - 1.0
    for path in home.blobs.folder.glob("??/*"):
        os.utime(path, (then, then))


async def until(home: JobHome, condition: Callable[[], bool]) -> None:
    """Lets hours pass, each with as long as the threads of the sweep need."""
    while not condition():
        await home.clock.run_for(LOOK_EVERY_S)
        await home.ledger.counts()


def counts(swept: Swept) -> dict[str, int]:
    return {amount.kind: amount.count for amount in swept.amounts}


async def test_of_a_job_that_is_there_nothing_goes_however_old_it_is_but_what_is_made_again(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await ended(home)
        grow_old(home, 10 * KEPT_S)
        swept = await sweep_of(home).collect(0.0)
        assert set(counts(swept)) <= {"computations"}
        assert all(home.blobs.has(name) for name in job.spec.files)
        assert (await home.ledger.counts())["results"] > 0


async def test_what_a_removed_job_leaves_goes_once_it_is_old_and_a_look_changes_nothing(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await ended(home)
        await home.jobs.remove(job.spec.job_id, by="ada")
        grow_old(home, KEPT_S / 2)
        assert counts(await sweep_of(home).find(KEPT_S)) == {}
        grow_old(home, KEPT_S)
        found = await sweep_of(home).find(KEPT_S)
        results = (await home.ledger.counts())["results"]
        assert counts(found)["results"] == counts(found)["attempts"] == results > 0
        assert await sweep_of(home).collect(KEPT_S) == found
        assert (await home.ledger.counts())["results"] == 0
        assert not any(home.blobs.has(name) for name in job.spec.files)
        assert counts(await sweep_of(home).collect(0.0)) == {}
        headers = await home.database.run(lambda c: c.execute("SELECT kind FROM journal").fetchall())
        assert headers == [("tombstone",)]


async def test_results_that_another_job_used_again_stay_with_it(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        first, second = await ended(home), await ended(home, "Sums are hard.")
        results = (await home.ledger.counts())["results"]
        await home.jobs.remove(first.spec.job_id, by="ada")
        grow_old(home, KEPT_S)
        assert set(counts(await sweep_of(home).collect(0.0))) <= {"blobs", "computations"}
        assert (await home.ledger.counts())["results"] == results
        assert all(home.blobs.has(name) for name in second.spec.files)


async def test_what_a_job_of_another_home_uses_stays_and_all_does_while_that_home_is_away(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await ended(home)
        everything = await sweep_of(home).used_here()
        one = frozenset({min(everything)})
        await home.jobs.remove(job.spec.job_id, by="ada")
        grow_old(home, KEPT_S)
        away = await sweep_of(home, Used(unreached=("node 5tudio",))).collect(0.0)
        assert "results" not in counts(away)
        assert "all results stay, as node 5tudio could not say which its jobs use" in away.remarks[0]
        assert counts(await sweep_of(home, Used(keys=one)).collect(0.0))["results"] == len(everything) - 1
        assert set(await home.ledger.results(sorted(everything))) == one


async def test_nothing_of_a_job_that_waits_goes_and_it_says_so(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        waiting = await home.submit(pilot="only")
        await home.until(waiting, lambda job: job.record.state == "paused")
        adapter = home.blobs.put_bytes(b"on its way to the job")
        home.clock.advance(2.0)
        grow_old(home, 0.0)
        home.clock.advance(10 * KEPT_S)
        swept = await sweep_of(home).collect(0.0)
        assert counts(swept) == {}
        assert home.blobs.has(adapter)
        assert "1 unfinished jobs" in swept.remarks[0]


async def test_a_file_that_a_submit_is_about_to_name_stays(tmp_path: Path) -> None:
    async with JobHome(tmp_path) as home:
        old, wanted = home.blobs.put_bytes(b"old"), home.blobs.put_bytes(b"wanted")
        now = home.blobs.path(wanted).stat().st_mtime
        home.clock.advance(now + 10 - home.clock.unix())
        long_ago = now - 2 * ARRIVING_S
        for name in (old, wanted):
            os.utime(home.blobs.path(name), (long_ago, long_ago))
        keep([home.blobs.path(wanted), home.blobs.path(Sha256("0" * 64))])
        await sweep_of(home).collect(0.0)
        assert (home.blobs.has(old), home.blobs.has(wanted)) == (False, True)


async def test_a_file_that_nothing_names_goes_by_itself_after_a_day_and_no_other_does(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home, asyncio.TaskGroup() as tasks:
        job = await ended(home)
        adapter, unnamed = home.blobs.put_bytes(b"an adapter"), home.blobs.put_bytes(b"of a refused submit")
        await home.database.run(
            lambda c: c.execute(
                "INSERT INTO results VALUES (?, ?, 'trained', ?, 'n', 0, 0, 0)", ("k", "h", b"\xda@" + adapter.encode())
            )
        )
        results = (await home.ledger.counts())["results"]
        home.clock.set_unix(home.blobs.path(unnamed).stat().st_mtime)
        sweeping = tasks.create_task(sweep_of(home).run())
        await home.clock.run_for(0.0)
        home.clock.advance(UNNAMED_S - LOOK_EVERY_S)
        young = home.blobs.put_bytes(b"has just come")
        os.utime(home.blobs.path(young), (home.clock.unix(), home.clock.unix()))
        await until(home, lambda: not home.blobs.has(unnamed))
        sweeping.cancel()
        assert all(home.blobs.has(name) for name in (*job.spec.files, adapter, young))
        assert (await home.ledger.counts())["results"] == results


async def test_a_clock_that_is_set_makes_no_file_old_at_once(tmp_path: Path) -> None:
    async with JobHome(tmp_path) as home, asyncio.TaskGroup() as tasks:
        unnamed = home.blobs.put_bytes(b"on its way")
        home.clock.set_unix(home.blobs.path(unnamed).stat().st_mtime + 10 * UNNAMED_S)
        sweeping = tasks.create_task(sweep_of(home).run())
        await home.clock.run_for(LOOK_EVERY_S)
        assert home.blobs.has(unnamed)
        await until(home, lambda: not home.blobs.has(unnamed))
        sweeping.cancel()


async def test_what_the_worker_computed_goes_once_nobody_has_asked_for_it_for_so_long(tmp_path: Path) -> None:
    async with JobHome(tmp_path) as home:
        for key in ("used again", "forgotten"):
            await home.ledger.add_computation(key, b"outcome", now_unix_s=home.clock.unix())
        grow_old(home, KEPT_S / 2)
        assert await home.ledger.computation("used again", now_unix_s=home.clock.unix()) == b"outcome"
        grow_old(home, KEPT_S / 2 + 1.0)
        assert counts(await sweep_of(home).collect(KEPT_S)) == {"computations": 1}
        held = [await home.ledger.computation(key, now_unix_s=0.0) for key in ("used again", "forgotten")]
        assert held == [b"outcome", None]


async def test_a_checkpoint_goes_when_no_job_uses_its_unit(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        await ended(home)
        used = min(await sweep_of(home).used_here())
        (tmp_path / "checkpoints").mkdir()
        kept, gone = tmp_path / "checkpoints" / used, tmp_path / "checkpoints" / f"{'0' * 64}.tmp"
        for file in (kept, gone):
            file.write_bytes(b"half")
            os.utime(file, (0, 0))
        assert counts(await sweep_of(home).collect(KEPT_S))["checkpoints"] == 1
        assert (kept.exists(), gone.exists()) == (True, False)


async def test_a_job_whose_record_no_version_here_can_read_keeps_what_it_names(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job = await ended(home)
        later = home.blobs.put_bytes(b"a newer version's")
        await home.ledger.save_record(job.spec.job_id, f'{{"stat": "fine", "checkpoint": "{later}"}}')
        grow_old(home, 10 * KEPT_S)
        (facts,) = await home.database.run(inventory.jobs)
        assert (facts.ended_unix_s, facts.files >= {later, *job.spec.files}) == (None, True)
        await sweep_of(home).collect(0.0)
        assert home.blobs.has(later)


async def test_a_removed_job_is_gone_with_its_folder_also_after_a_restart(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        job, other = await ended(home), await ended(home)
        names = {file.path for file in await home.output.files(job.spec.job_id)}
        assert {"train.jsonl", "summary.json"} < names
        gone = await home.jobs.remove(job.spec.job_id, by="ada")
        assert {file.path for file in gone} == names
        assert home.jobs.all() == (other,)
        assert [path.name for path in (tmp_path / "curated").iterdir()] == [Path(other.record.output).name]
    async with JobHome(tmp_path, work=Script().work) as again:
        assert [one.spec.job_id for one in again.jobs.all()] == [other.spec.job_id]
        assert [stored.job_id for stored in await again.ledger.all_jobs()] == [other.spec.job_id]


async def test_a_job_that_has_not_ended_is_not_removed(tmp_path: Path) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        waiting = await home.submit(pilot="only")
        await home.until(waiting, lambda job: job.record.state == "paused")
        with pytest.raises(Exception, match=f"is paused; end it first with `realignctl cancel {waiting.spec.job_id}`"):
            await home.jobs.remove(waiting.spec.job_id, by="ada")
        assert home.jobs.all() == (waiting,)


async def test_a_tombstone_from_elsewhere_ends_the_job_and_takes_its_folder(tmp_path: Path) -> None:
    script = Script()
    async with JobHome(tmp_path, work=script.work) as home:
        done = await ended(home)
        script.held = "train_dpo"
        running = await home.submit("Sums are hard.")
        await script.reached.wait()
        with home.jobs.watch(running) as news:
            for job in (done, running):
                await home.ledger.remove_job(job.spec.job_id, by="another node", at_unix_s=1.0)
            buried = asyncio.Event()

            async def bury(job_ids: Collection[str]) -> None:
                await home.jobs.bury(job_ids)
                buried.set()

            burials = Burials(home.database, bury=bury, clock=home.clock)
            async with asyncio.TaskGroup() as tasks:
                burying = tasks.create_task(burials.run())
                async for item in news:
                    if item.kind == "ended":
                        break
                await buried.wait()
                burying.cancel()
        assert (home.jobs.all(), await home.ledger.all_jobs()) == ((), ())
        assert list((tmp_path / "curated").iterdir()) == []


def test_a_folder_is_found_by_its_mark_and_no_link_is_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "curated", tmp_path / "outside"
    for folder in (root / "mine", root / "theirs", outside):
        folder.mkdir(parents=True)
        (folder / "row").write_text("row")
    (root / "mine" / ".job").write_text("dpo-1")
    (root / "theirs" / ".job").write_text("dpo-2")
    (outside / ".job").write_text("dpo-1")
    (root / "link").symlink_to(outside)
    (root / "mine" / "link").symlink_to(outside / "row")
    (root / ".removing-half").mkdir()
    assert [file.path for file in files_of(root, "dpo-1")] == ["row"]
    assert [file.path for file in remove_folders(root, ["dpo-1"])] == ["row"]
    assert sorted(path.name for path in root.iterdir()) == ["link", "theirs"]
    assert (outside / "row").read_text() == "row"


async def test_a_model_that_was_left_half_is_listed_with_its_size_and_goes_and_one_that_comes_stays(
    tmp_path: Path,
) -> None:
    async with JobHome(tmp_path, work=Script().work) as home:
        sweep, arriving = sweep_of(home), home.folder / ARRIVING
        for name, age_s in (("left", 8 * 86_400.0), ("coming", 6 * 86_400.0), (f"{GONE}tiny", 0.0)):
            file = arriving / name / "model.safetensors"
            file.parent.mkdir()
            file.write_bytes(b"x" * 1000)
            for path in (file, file.parent):
                os.utime(path, (0.0, home.clock.unix() - age_s))
        linked = arriving / f"{GONE}tiny" / "link.safetensors"
        linked.hardlink_to(arriving / "coming" / "model.safetensors")
        found = await sweep.find(KEPT_S)
        assert found.amounts == (Amount(kind="partial_models", count=2, size_bytes=2000),)
        assert await sweep.collect(KEPT_S) == found
        assert [folder.name for folder in arriving.iterdir()] == ["coming"]
