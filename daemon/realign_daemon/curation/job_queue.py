"""Job queue: which of a home's jobs has the cluster. One has it at a time, the oldest first.

One that waits for its models lets others have it meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from realign_daemon.curation.assignment import Assignment, JobNode
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.job import Job
from realign_daemon.curation.record import JobState
from realign_daemon.curation.turn import Turn

log = structlog.get_logger()

RUNNABLE: frozenset[JobState] = frozenset({"queued", "pilot", "running"})


class JobQueue:
    """`run` must be running for anything to happen."""

    def __init__(self, node: JobNode, jobs: Callable[[], Iterable[Job]]) -> None:
        """`jobs` gives all of the node, oldest first."""
        self._node = node
        self._jobs = jobs
        self._turns = asyncio.Lock()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Has looked again for a job to run."""
        self._wake.set()

    async def run(self) -> None:
        """Runs jobs until cancelled, and then ends those that run."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._next() is not None:
                    turn = Turn(self._turns)
                    await turn.take()
                    if (job := self._next()) is None:  # it was stopped meanwhile
                        turn.give()
                        break
                    job.task = tasks.create_task(self._run(job, turn), name=f"job.{job.spec.job_id}")
                    job.task.add_done_callback(partial(self._at_end, job, turn))

    async def _run(self, job: Job, turn: Turn) -> None:
        try:
            await Assignment(self._node, job).run(turn)
        except Exception:  # a defect in one job is no reason to end them all
            log.exception("job.crashed", job=job.spec.job_id)
            if job.record.state in RUNNABLE:  # not one that was stopped, and only could not be saved
                job.record.state, job.record.error = "failed", "the job met a defect in realign; see the log"
                news = JobNews(kind="ended", text=job.record.error, at_unix_s=self._node.clock.unix())
                job.bulletin.post(news)

    def _at_end(self, job: Job, turn: Turn, _: asyncio.Task[None]) -> None:
        """However its run ended, or if it never began."""
        job.task = None
        turn.give()
        self._wake.set()

    def _next(self) -> Job | None:
        waiting = (job for job in self._jobs() if job.task is None and not job.is_moved)
        return next((job for job in waiting if job.record.state in RUNNABLE), None)
