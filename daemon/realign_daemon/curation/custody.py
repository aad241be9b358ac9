"""Custody: which jobs this node runs: its own, those that the voters gave it, and for a while those of a lost home."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation.endings import Endings, Final
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.job import Job, job_of
from realign_daemon.curation.jobs import RUNNABLE, Jobs
from realign_daemon.curation.output import Output
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.replicas import Away
from realign_daemon.curation.written import of_folder
from realign_daemon.decision.claim import Claim
from realign_daemon.decision.decisions import Standing
from realign_daemon.decision.value import EndState, Rehomed, Value
from realign_daemon.errors import Ambiguous, NotFound, RealignError, WrongState
from realign_daemon.work.ledger import Ledger
from realign_daemon.worker.errors import WorkerError

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
REST_S = 10.0  # of a job about which nothing could be done, as long as a decision is waited for
# A home that was not heard since this daemon started counts as gone after this: nodes meet within seconds, by Bonjour
# within ten.
NEVER_HEARD_S = 30.0


class Deciding(Protocol):
    """See decision.decisions.Decisions."""

    async def decide(
        self, job_id: str, instance: int, home: str, voters: tuple[str, ...], value: Value, *, config_epoch: int = 0
    ) -> Value:
        """The value that stands. Raises NoMajority."""
        ...

    async def adopt(self, job_id: str, instance: int, home: str, voters: tuple[str, ...]) -> Standing:
        """A new home by a person's word."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The other nodes, as custody needs to know them."""

    leads: Callable[[], bool]  # whether this node plans for those that it reaches
    fittest: Callable[[], str]  # the id of the living node that should be a home: the steadiest, then the fastest
    away: Callable[[str], Away | None]  # a node that is given up, or was never heard; None for one that is not
    living: Callable[[], tuple[str, ...]]  # ids, this node and witnesses included


class Custody:
    """`run` must be running for anything to happen by itself."""

    def __init__(
        self,
        *,
        node_id: str,
        jobs: Jobs,
        ledger: Ledger,
        output: Output,
        endings: Endings,
        decisions: Deciding,
        cluster: Cluster,
        clock: Clock,
        is_provisional: bool = True,
        auto_adopt_after_s: float = 0.0,
    ) -> None:
        """Without `is_provisional` nothing is computed that no majority stands behind; 0 s: nothing adopts itself."""
        self._node_id = node_id
        self._jobs = jobs
        self._ledger = ledger
        self._output = output
        self._endings = endings
        self._decisions = decisions
        self._cluster = cluster
        self._clock = clock
        self._is_provisional = is_provisional
        self._auto_adopt_after_s = auto_adopt_after_s
        self._began_s = clock.continuous()
        self._rests_until_s: dict[str, float] = {}  # jobs about which nothing can be done for now

    async def run(self) -> None:
        """Looks every second, until cancelled. What an earlier process made of other homes' jobs goes first."""
        with suppress(OSError):
            await self._output.keep_provisional([job.spec.job_id for job in self._jobs.all() if job.record.provisional])
        while True:
            try:
                await self.look()
            except sqlite3.OperationalError as error:  # the next look is a new try
                log.warning("custody.disk", reason=str(error))
            except Exception:  # the boundary of one look: a defect in it must not take the daemon with it
                log.exception("custody.crashed")
            await self._clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Brings what runs here in line with where the jobs are homed by now."""
        claims = await self._ledger.claims()
        for job in self._jobs.all():
            await self._tried(job.spec.job_id, self._keep_or_give_up(job, claims), at_once=True)
        for job_id, claim in claims.items():
            if claim.home == self._node_id and not self._jobs.has(job_id):
                await self._tried(job_id, self._take(job_id))
        for job_id, instance in sorted(await self._ledger.cancels()):
            job = self._jobs.find(job_id) if self._jobs.has(job_id) else None
            if job is not None and job.claim.instance == instance and not job.record.is_ended:
                await self._tried(job_id, self._jobs.cancel(job_id), at_once=True)
        for job in self._jobs.all():
            is_written = job.record.is_ended and job.record.provisional and job.task is None and job.closed.is_set()
            if is_written and self._endings.may_be_decided(job):
                await self._tried(job.spec.job_id, self._make_final(job))
        if self._cluster.leads():
            await self._relieve_the_lost(claims)

    async def _relieve_the_lost(self, claims: dict[str, Claim]) -> None:
        for job_id, claim in claims.items():
            away = self._gone(claim.home)
            if away is not None:
                await self._tried(job_id, self._relieve(job_id, claim, away))

    async def _tried(self, job_id: str, doing: Awaitable[object], *, at_once: bool = False) -> None:
        """Does something about one job, and lets it rest where it fails: the others must not suffer.

        What is to be done `at_once` waits for no rest.
        """
        if not at_once and self._clock.continuous() < self._rests_until_s.get(job_id, 0.0):
            cast("Coroutine[object, object, object]", doing).close()
            return
        try:
            await doing
        except (RealignError, WorkerError, sqlite3.OperationalError, OSError, ValueError, KeyError) as error:
            log.warning("custody.failed", job=job_id, reason=str(error))
            self._rest(job_id)

    def _rest(self, job_id: str) -> None:
        self._rests_until_s[job_id] = self._clock.continuous() + REST_S

    async def _take(self, job_id: str) -> None:
        stored = await self._ledger.job(job_id)
        if stored is not None and stored.home == self._node_id and self._jobs.take(stored) is None:
            self._rest(job_id)

    async def adopt(self, reference: str) -> Job:
        """Makes this node the home of a job whose home is lost, by a person's word. What had ended runs again.

        Raises:
            NotFound, Ambiguous: no job of that name, or several.
            WrongState: its home is there, and needs nobody's help.
        """
        claims = await self._ledger.claims()
        found = [job_id for job_id in claims if reference and job_id.startswith(reference)]
        if len(found) != 1:
            error = Ambiguous if found else NotFound
            raise error(f"{len(found) or 'no'} jobs begin with {reference!r}; `realignctl jobs` lists them")
        job_id, claim = found[0], claims[found[0]]
        if claim.home == self._node_id:
            own = self._jobs.get(job_id)
            if not own.record.provisional:
                raise WrongState(f"this node is the home of {job_id} already; there is nothing to adopt")
        elif self._gone(claim.home) is None:
            raise WrongState(f"the home of {job_id} can be reached, or may be in a moment; only a lost one is replaced")
        return await self._adopt(job_id, claim, runs_again=True)

    async def adopt_all(self, node: str) -> None:
        """Makes this node the home of all jobs of a lost node. What had ended stays as it is."""
        for job_id, claim in (await self._ledger.claims()).items():
            if claim.home == node:
                await self._tried(job_id, self._adopt(job_id, claim, runs_again=False))

    async def ask_to_cancel(self, job: Job, *, by: str) -> None:
        """Notes the wish that a job be cancelled whose home is away; whoever runs it honours it."""
        await self._ledger.ask_to_cancel(job.spec.job_id, job.claim.instance, by=by, at_unix_s=self._clock.unix())

    async def _keep_or_give_up(self, job: Job, claims: dict[str, Claim]) -> None:
        """Forgets what another node runs from now on."""
        claim = claims.get(job.spec.job_id, job.claim)
        is_own = claim.home == job.claim.home == self._node_id
        if is_own and not job.is_moved:
            job.claim = max(job.claim, claim, key=lambda one: (one.config_epoch, one.instance))
        elif is_own or claim != job.claim or self._gone(claim.home) is None:
            await self._jobs.give_up(job, f"{job.spec.job_id} goes on at its home")

    async def _relieve(self, job_id: str, claim: Claim, away: Away) -> None:
        """Finds a home, or a run for the time being, for a job whose home is gone."""
        stored = await self._ledger.job(job_id)
        job = job_of(stored) if stored is not None else None
        if stored is None or job is None or not (job.record.state in RUNNABLE or job.record.provisional):
            self._rest(job_id)  # it has ended, or somebody has paused it
        elif not await self._rehome(job_id, claim, away):
            if self._auto_adopt_after_s and self._silent_s(away) > self._auto_adopt_after_s:
                await self._adopt(job_id, claim, runs_again=False)
            elif self._is_provisional and not self._jobs.has(job_id):
                log.warning("job.provisional", job=job_id, lost=away.name)
                self._jobs.take(stored, provisional=_unreachable(job_id, away))

    async def _rehome(self, job_id: str, claim: Claim, away: Away) -> bool:
        """Whether the voters gave the job another home. They do not where it has ended, and its files are with it."""
        living = self._cluster.living()
        if claim.missing(living):
            return False
        log.info("job.rehoming", job=job_id, lost=away.name)
        value = Rehomed(home=self._cluster.fittest(), voters=tuple(sorted(living)))
        electorate = claim.electorate
        stands = await self._decisions.decide(
            job_id, claim.instance, electorate.home, electorate.voters, value, config_epoch=claim.config_epoch
        )
        return isinstance(stands, Rehomed)

    async def _adopt(self, job_id: str, claim: Claim, *, runs_again: bool) -> Job:
        before = await self._ledger.job(job_id)
        try:
            _ = None if before is None else job_of(before)
        except ValueError as error:
            reason = f"the record of {job_id} never came here, or a newer realign wrote it; adopt it on another node"
            raise WrongState(reason) from error
        living = tuple(sorted(self._cluster.living()))
        await self._decisions.adopt(job_id, claim.instance, self._node_id, living)
        if self._jobs.has(job_id):
            await self._jobs.give_up(self._jobs.get(job_id), f"{job_id} was adopted")
        stored = await self._ledger.job(job_id)
        job = self._jobs.take(stored) if stored is not None and stored.home == self._node_id else None
        if job is None:
            raise WrongState(f"job {job_id} was removed, or adopted by another node, meanwhile; see `realignctl jobs`")
        self._rests_until_s.pop(job_id, None)
        if job.record.state in RUNNABLE or (runs_again and job.record.state not in ("paused", "failed", "cancelled")):
            job.record.state, job.record.ended_unix_s, job.record.provisional = "queued", 0.0, ""
        await self._ledger.save_record(job_id, record_to_json(job.record))
        self._jobs.wake()
        return job

    async def _make_final(self, job: Job) -> None:
        """Has the end decided that no majority stood behind when it came, and puts the output in its place."""
        record, job_id = job.record, job.spec.job_id
        state, reason = cast("EndState", record.state), record.provisional
        end = await self._endings.settle(job, state, record.manifest or await self._endings.manifest(job))
        if not isinstance(end, Final):
            self._rest(job_id)  # who is elsewhere is given up by the next look
            return
        is_same = self._jobs.has(job_id) and self._jobs.get(job_id) is job
        if not is_same or (record.state, record.provisional) != (state, reason):
            return  # somebody has removed it, or runs it again
        written = None
        if self._output.is_provisional(record.output):
            written = await asyncio.to_thread(of_folder, Path(record.output))
        record.provisional, record.decision = "", end.decision
        try:
            if written is not None:
                await self._output.put(job.spec, record, written, state=state)
            await self._ledger.save_record(job_id, record_to_json(record))
        except BaseException:
            record.provisional = reason
            raise
        await self._output.remove_provisional(job_id)
        text = ": ".join(filter(None, (f"{job_id} is final", record.output)))
        job.bulletin.post(JobNews(kind="ended", text=text, at_unix_s=self._clock.unix()))

    def _gone(self, node: str) -> Away | None:
        """What is known of a node that is given up; None for one that is there, or that may just not be met yet."""
        away = None if node == self._node_id else self._cluster.away(node)
        if away is None or away.heard_unix_s is not None:
            return away
        return away if self._clock.continuous() - self._began_s > NEVER_HEARD_S else None

    def _silent_s(self, away: Away) -> float:
        if away.heard_unix_s is None:
            return self._clock.continuous() - self._began_s
        return self._clock.unix() - away.heard_unix_s


def _unreachable(job_id: str, away: Away) -> str:
    since = "since this daemon started"
    if away.heard_unix_s is not None:
        since = f"since {time.strftime('%H:%M', time.gmtime(away.heard_unix_s))} UTC"
    return f"provisional: home {away.name!r} unreachable {since}; `realignctl adopt {job_id}` makes it final"
