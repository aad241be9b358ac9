"""Replicas: jobs whose home cannot be reached, as this node has heard of them. To look at; they do not run here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from realign_daemon.curation.job import Job, job_of
from realign_daemon.work.ledger import Ledger, StoredJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A node that cannot be reached, and when it was heard last; None when not since this daemon started."""

    name: str
    heard_unix_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A job as its home told of it last; its first warning says so."""

    job: Job
    home: str  # name


class Replicas:
    """What this node knows beyond its own jobs, and who knows of its own."""

    def __init__(
        self, ledger: Ledger, *, away: Callable[[str], Away | None], copies: Callable[[str], Awaitable[int]]
    ) -> None:
        """`away` is None for a node that can be reached, this one included; `copies` waits a moment for a second."""
        self._ledger = ledger
        self._away = away
        self.copies = copies

    async def submitted(self, client_token: str, owner: str) -> StoredJob | None:
        """The job that the client had another node take before, and did not hear of; None without a token."""
        stored = await self._ledger.job_of_token(client_token) if client_token else None
        return stored if stored is not None and stored.owner == owner else None

    async def find(self, reference: str) -> Replica | None:
        """The job of that id, or of the beginning of one that no other job has, whose home cannot be reached."""
        homes = await self._ledger.homes()
        found = [job_id for job_id in homes if job_id.startswith(reference)] if reference else []
        return next(iter(await self._read(found)), None) if len(found) == 1 else None

    async def all(self) -> tuple[Replica, ...]:
        """Every job whose home cannot be reached."""
        return tuple(await self._read(await self._ledger.homes()))

    async def _read(self, job_ids: Iterable[str]) -> list[Replica]:
        homes = await self._ledger.homes()
        away = {job_id: where for job_id in job_ids if (where := self._away(homes[job_id])) is not None}
        found: list[Replica] = []
        for job_id, where in away.items():
            stored = await self._ledger.job(job_id)
            if stored is not None and (job := _job(stored, where)) is not None:
                found.append(Replica(job=job, home=where.name))
        return found


def _job(stored: StoredJob, where: Away) -> Job | None:
    """None where the record has not come yet, or is of a version that this one can't read."""
    try:
        job = job_of(stored)
    except ValueError:
        return None
    when = "as it was told last"
    if where.heard_unix_s is not None:
        when = f"as of {time.strftime('%Y-%m-%d %H:%M', time.gmtime(where.heard_unix_s))} UTC"
    job.record.warnings.insert(0, f"{when}: its home {where.name} cannot be reached")
    return job
