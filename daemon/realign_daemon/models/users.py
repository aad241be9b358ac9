"""Users: which jobs that have not ended need which models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from realign_daemon.curation.job import Job, job_of
from realign_daemon.engine.api import ModelId
from realign_daemon.work.ledger import Ledger


class Users:
    """Jobs of this node as they are, and those of others as it has heard of them."""

    def __init__(self, ledger: Ledger, own: Callable[[], Iterable[Job]]) -> None:
        self._ledger = ledger
        self._own = own

    async def of(self, model: ModelId) -> tuple[str, ...]:
        """The ids of the jobs that need the model, in order."""
        return (await self.all()).get(model, ())

    async def all(self) -> Mapping[ModelId, tuple[str, ...]]:
        """The ids of the jobs that need each model."""
        jobs = {job.spec.job_id: job for job in self._own()}
        for job_id in (await self._ledger.homes()).keys() - jobs.keys():
            if (job := await self._heard_of(job_id)) is not None:
                jobs[job_id] = job
        users: dict[ModelId, list[str]] = {}
        for job_id, job in sorted(jobs.items()):
            for model in {pin.model for pin in job.spec.pins} if not job.record.is_ended else ():
                users.setdefault(model, []).append(job_id)
        return {model: tuple(ids) for model, ids in users.items()}

    async def _heard_of(self, job_id: str) -> Job | None:
        """None where its record has not come yet, or is of a version that this one can't read."""
        stored = await self._ledger.job(job_id)
        try:
            return job_of(stored) if stored is not None else None
        except ValueError:
            return None
