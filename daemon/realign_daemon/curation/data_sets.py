"""Data sets: what the jobs of this node have made: looked at, explained, thinned out, and asked what it asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from realign_daemon.curation.drops import with_whole_ids, without_dropped
from realign_daemon.curation.excerpts import Excerpts
from realign_daemon.curation.job import Job
from realign_daemon.curation.material import Material, Row
from realign_daemon.curation.output import Output
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.spec import to_json, with_changes
from realign_daemon.curation.stages.prompts import question_of
from realign_daemon.curation.written import ROW_FILES, Excerpt, absence, of_folder, of_material
from realign_daemon.errors import BadInput, WrongState
from realign_daemon.housekeeping.folders import StoredFile
from realign_daemon.work.ledger import Ledger

MOST_SAMPLES = 1000  # of a look at the data: what one message holds without fear

T = TypeVar("T")


class DataSets:
    """What jobs have made: on their desks until they have written it, then in their output folders."""

    def __init__(self, *, ledger: Ledger, output: Output) -> None:
        self._ledger = ledger
        self._output = output
        self._excerpts = Excerpts()
        self._changing = asyncio.Lock()

    async def sample(self, job: Job, *, n: int, stage: str, rejected: bool) -> Excerpt:
        """Some of what a job has made, evenly over all of it.

        Raises:
            BadInput: the workflow has no such stage.
            WrongState: there is nothing to look at, or the files are not what the job wrote.
        """
        names = [one.name for one in job.record.stages]
        if stage and stage not in names:
            raise BadInput(f"there is no stage {stage!r}; the stages are {', '.join(names)}")
        n = min(n, MOST_SAMPLES)
        if (material := _on_desk(job)) is not None:
            return of_material(material, earlier=job.record.exhibits).excerpt(n=n, stage=stage, rejected=rejected)
        return await _read(job, lambda folder: self._excerpts.sample(folder, n=n, stage=stage, rejected=rejected))

    async def explain(self, job: Job, row: str) -> Row:
        """The row of that id, or of an unambiguous beginning of one.

        Raises:
            NotFound, BadInput: there is none, or there are several.
            WrongState: as for sample.
        """
        if (material := _on_desk(job)) is None:
            return await _read(job, lambda folder: self._excerpts.row(folder, row))
        found = [one for one in material.rows if row and str(one.fields["id"]).startswith(row)]
        if len(found) > 1:
            raise BadInput(f"{len(found)} rows of job {job.spec.job_id} begin with {row!r}; give more of the id")
        if not found:
            raise absence(row, material.dropped)
        return found[0]

    async def questions(self, job: Job) -> list[str]:
        """What the rows of an ended job ask, as they ask it: personal data is taken out of rows.

        Raises:
            BadInput: the job has written no rows yet.
            WrongState: its files are not what it wrote.
        """
        if not job.record.output:
            raise BadInput(f"job {job.spec.job_id} has written no rows yet; append to it when it has ended")
        return await _read(job, lambda folder: list(_questions(folder)))

    async def files(self, job: Job) -> tuple[StoredFile, ...]:
        """What lies in the job's output folder; nothing where it has none."""
        return await self._output.files(job.spec.job_id)

    async def drop(self, job: Job, conditions: Sequence[str]) -> int:
        """Takes the rows that the conditions hold for out of an ended job's output; how many they were.

        The adapter stays as it is: it has learned from them, and the summary says so. A retry trains without them.

        Raises:
            BadInput: a condition that is none, the beginning of several rows' ids, or no row that meets any.
            WrongState: the job runs, or has no output that is as it wrote it.
        """
        async with self._changing:  # who reads what another is about to write would bring its rows back
            if not job.record.is_ended or not job.record.output:
                message = f"job {job.spec.job_id} is {job.record.state}; rows are dropped from a job that has ended"
                raise WrongState(message)
            if job.record.provisional:
                raise WrongState(f"rows are dropped once the end is final; {job.record.provisional}")
            written = await _read(job, of_folder)
            conditions = with_whole_ids(conditions, written.rows)
            kept, dropped = without_dropped(written.rows, conditions, stage="drop")
            if not dropped:
                message = f"no row of job {job.spec.job_id} is meant by {', '.join(conditions)}; nothing was changed"
                raise BadInput(message)
            job.spec = with_changes(job.spec, drops=conditions)
            if job.record.adapter:
                note = "rows were dropped after the training: the adapter has learned from them"
                job.record.warnings[:] = dict.fromkeys((*job.record.warnings, note))
            rest = replace(written, rows=tuple(kept), dropped=(*written.dropped, *dropped))
            await self._output.put(job.spec, job.record, rest, state=job.record.state)
            await self._ledger.save_spec(job.spec.job_id, to_json(job.spec), of=job.claim)
            await self._ledger.save_record(job.spec.job_id, record_to_json(job.record), of=job.claim)
            return len(dropped)


def _on_desk(job: Job) -> Material | None:
    if job.record.is_ended and job.record.output:
        return None
    return job.material or (Material() if job.record.exhibits else None)  # after a restart there is nothing on it yet


async def _read(job: Job, read: Callable[[Path], T]) -> T:
    """What is read in the job's output folder, in a thread: large files must not stop heartbeats."""
    if not job.record.output:
        raise WrongState(f"job {job.spec.job_id} is {job.record.state} and there is nothing of it to look at")
    try:
        return await asyncio.to_thread(read, Path(job.record.output))
    except (OSError, ValueError, KeyError) as error:
        message = (
            f"the files of job {job.spec.job_id} in {job.record.output} are gone or were changed ({error!r}); "
            f"`realignctl retry {job.spec.job_id}` writes them again"
        )
        raise WrongState(message) from error


def _questions(folder: Path) -> Iterator[str]:
    for name in ROW_FILES:
        with (folder / name).open("rb") as lines:
            yield from (question_of(json.loads(line)) for line in lines)
