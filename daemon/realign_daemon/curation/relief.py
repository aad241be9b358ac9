"""Relief: a home, or a run for the time being, for a job whose home is lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation.job import Job, job_of
from realign_daemon.curation.job_queue import RUNNABLE
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.losses import Losses
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.replicas import Away
from realign_daemon.decision.claim import Claim
from realign_daemon.decision.decisions import Standing
from realign_daemon.decision.errors import NoMajority
from realign_daemon.decision.store import Also
from realign_daemon.decision.value import Rehomed, Value
from realign_daemon.errors import WrongState
from realign_daemon.work.ledger import Ledger, StoredJob

log = structlog.get_logger()


class Deciding(Protocol):
    """See decision.decisions.Decisions."""

    async def decide(
        self, job_id: str, instance: int, home: str, voters: tuple[str, ...], value: Value, *, config_epoch: int = 0
    ) -> Value:
        """The value that stands. Raises NoMajority."""
        ...

    async def adopt(
        self, job_id: str, instance: int, home: str, voters: tuple[str, ...], *, also: Also | None = None
    ) -> Standing:
        """A new home by a person's word, and in the same transaction what `also` does."""
        ...

    async def standing(self, job_id: str, instance: int) -> Standing | None:
        """What stands, as far as is known here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The other nodes, as custody needs to know them."""

    leads: Callable[[], bool]  # whether this node plans for those that it reaches
    fittest: Callable[[], str]  # the id of the living node that should be a home; see rpc.neighbours
    away: Callable[[str], Away | None]  # a node that is given up, or was never heard; None for one that is not
    living: Callable[[], tuple[str, ...]]  # ids, this node and witnesses included


class Relief:
    """What the leader does about lost homes, and what a person has a node do."""

    def __init__(
        self,
        *,
        node_id: str,
        jobs: Jobs,
        ledger: Ledger,
        decisions: Deciding,
        cluster: Cluster,
        losses: Losses,
        clock: Clock,
        is_provisional: bool,
        auto_adopt_after_s: float,
    ) -> None:
        """See custody.Custody."""
        self._node_id = node_id
        self._jobs = jobs
        self._ledger = ledger
        self._decisions = decisions
        self._cluster = cluster
        self._losses = losses
        self._clock = clock
        self._is_provisional = is_provisional
        self._auto_adopt_after_s = auto_adopt_after_s

    async def relieve(self, stored: StoredJob) -> bool:
        """Does what can be done for the job of a lost home; whether that should rest before it is tried again.

        Raises:
            ValueError: the job's record has not come, or cannot be read here.
        """
        job_id, claim, job = stored.job_id, stored.claim, job_of(stored)
        if not (job.record.state in RUNNABLE or job.record.provisional):
            return True  # it has ended, or somebody has paused it
        has_majority = not claim.missing(self._cluster.living())
        if has_majority and await self._rehome(job_id, claim):
            return False
        now = await self._ledger.job(job_id)
        away = self._losses.of(claim.home)
        if now is None or now.claim != claim or away is None:
            return False  # all is well again
        if self._auto_adopt_after_s and self._losses.lasts_s(claim.home) > self._auto_adopt_after_s:
            await self.adopt(job_id, claim, runs_again=False)
        elif self._is_provisional and not self._jobs.has(job_id):
            log.warning("job.provisional", job=job_id, lost=away.name)
            self._jobs.take(now, provisional=_unreachable(job_id, away))
        return has_majority

    async def adopt(self, job_id: str, claim: Claim, *, runs_again: bool) -> Job:
        """Makes this node the job's home, whatever its voters say; `runs_again` also if it had ended.

        Without that a cancel still counts that somebody had asked for. Raises WrongState.
        """
        before = await self._ledger.job(job_id)
        try:
            _ = None if before is None else job_of(before)
        except ValueError as error:
            reason = f"the record of {job_id} never came here, or a newer realign wrote it; adopt it on another node"
            raise WrongState(reason) from error
        living = tuple(sorted(self._cluster.living()))
        carried = self._ledger.carries_cancel(job_id, claim, by=self._node_id, at_unix_s=self._clock.unix())
        also = None if runs_again else carried
        await self._decisions.adopt(job_id, claim.instance, self._node_id, living, also=also)
        if self._jobs.has(job_id):
            await self._jobs.give_up(self._jobs.get(job_id), f"{job_id} was adopted")
        stored = await self._ledger.job(job_id)
        job = self._jobs.take(stored) if stored is not None and stored.home == self._node_id else None
        if job is None:
            raise WrongState(f"job {job_id} was removed, or adopted by another node, meanwhile; see `realignctl jobs`")
        if job.record.state in RUNNABLE or (runs_again and job.record.state not in ("paused", "failed", "cancelled")):
            job.record.state, job.record.ended_unix_s, job.record.provisional = "queued", 0.0, ""
        await self._ledger.save_record(job_id, record_to_json(job.record), of=job.claim)
        self._jobs.wake()
        return job

    async def _rehome(self, job_id: str, claim: Claim) -> bool:
        """Whether the voters gave the job another home. They do not where it has ended, and its files are with it."""
        log.info("job.rehoming", job=job_id, lost=claim.home)
        value = Rehomed(home=self._cluster.fittest(), voters=tuple(sorted(self._cluster.living())))
        electorate = claim.electorate
        try:
            stands = await self._decisions.decide(
                job_id, claim.instance, electorate.home, electorate.voters, value, config_epoch=claim.config_epoch
            )
        except NoMajority as error:
            log.info("job.not_rehomed", job=job_id, reason=str(error))
            return False
        return isinstance(stands, Rehomed)


def _unreachable(job_id: str, away: Away) -> str:
    since = "since this daemon started"
    if away.heard_unix_s is not None:
        since = f"since {time.strftime('%H:%M', time.gmtime(away.heard_unix_s))} UTC"
    return f"provisional: home {away.name!r} unreachable {since}; `realignctl adopt {job_id}` makes it final"
