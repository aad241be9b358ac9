"""Custody: which jobs this node runs: its own, those that the voters gave it, and for a while those of a lost home."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation.endings import Elsewhere, Endings, Final, Provisional
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.job import Job, job_of
from realign_daemon.curation.jobs import RUNNABLE, Jobs
from realign_daemon.curation.output import Output
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.replicas import Away
from realign_daemon.curation.written import of_folder
from realign_daemon.decision.claim import Claim
from realign_daemon.decision.decisions import Standing
from realign_daemon.decision.errors import NoMajority
from realign_daemon.decision.value import EndState, Rehomed, Value
from realign_daemon.errors import Ambiguous, NotFound, RealignError, WrongState
from realign_daemon.work.ledger import Ledger

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
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
        self._left: set[tuple[str, Claim]] = set()  # jobs of lost homes in which there is nothing to do

    async def run(self) -> None:
        """Looks every second, until cancelled. What an earlier process made of other homes' jobs goes first."""
        with suppress(OSError):
            await self._output.keep_provisional([job.spec.job_id for job in self._jobs.all() if job.record.provisional])
        while True:
            try:
                await self.look()
            except (sqlite3.OperationalError, OSError) as error:  # the next look is a new try
                log.warning("custody.disk", reason=str(error))
            except RealignError as error:
                log.warning("custody.failed", reason=str(error))
            except Exception:  # the boundary of one look: a defect in it must not take the daemon with it
                log.exception("custody.crashed")
            await self._clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Brings what runs here in line with where the jobs are homed by now."""
        claims = await self._ledger.claims()
        await self._give_up(claims)
        for job_id, claim in claims.items():
            if (
                claim.home == self._node_id
                and not self._jobs.has(job_id)
                and (stored := await self._ledger.job(job_id))
            ):
                self._jobs.take(stored)
        for job_id, instance in sorted(await self._ledger.cancels()):
            job = self._jobs.find(job_id) if self._jobs.has(job_id) else None
            if job is not None and job.claim.instance == instance and not job.record.is_ended:
                await self._jobs.cancel(job_id)
        for job in self._jobs.all():
            if job.record.is_ended and job.record.provisional and self._endings.may_be_decided(job):
                await self._make_final(job)
        if self._cluster.leads():
            await self._take_over({job_id: claim for job_id, claim in claims.items() if not self._jobs.has(job_id)})

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
                await self._adopt(job_id, claim, runs_again=False)

    async def ask_to_cancel(self, job: Job, *, by: str) -> None:
        """Notes the wish that a job be cancelled whose home is away; whoever runs it honours it."""
        await self._ledger.ask_to_cancel(job.spec.job_id, job.claim.instance, by=by, at_unix_s=self._clock.unix())

    async def _give_up(self, claims: dict[str, Claim]) -> None:
        """Forgets what another node runs from now on."""
        for job in self._jobs.all():
            claim = claims.get(job.spec.job_id, job.claim)
            is_own = claim.home == job.claim.home == self._node_id
            if is_own and not job.is_moved:
                job.claim = max(job.claim, claim, key=lambda one: (one.config_epoch, one.instance))
            elif is_own or claim != job.claim or self._gone(claim.home) is None:
                await self._jobs.give_up(job, f"{job.spec.job_id} goes on at its home")

    async def _take_over(self, claims: dict[str, Claim]) -> None:
        """Finds a home, or a run for the time being, for the jobs of those that are gone."""
        for job_id, claim in claims.items():
            away = self._gone(claim.home)
            if away is None:
                self._left.discard((job_id, claim))
            elif (job_id, claim) not in self._left and not await self._relieve(job_id, claim, away):
                self._left.add((job_id, claim))

    async def _relieve(self, job_id: str, claim: Claim, away: Away) -> bool:
        """Does what can be done for a job; False where it needs nothing."""
        stored = await self._ledger.job(job_id)
        try:
            job = job_of(stored) if stored is not None else None
        except ValueError:  # its record has not come yet, or never will
            return True
        if stored is None or job is None or not (job.record.state in RUNNABLE or job.record.provisional):
            return False
        living = self._cluster.living()
        if not claim.missing(living):
            log.info("job.rehoming", job=job_id, lost=away.name)
            value = Rehomed(home=self._cluster.fittest(), voters=tuple(sorted(living)))
            electorate = claim.electorate
            try:
                stands = await self._decisions.decide(
                    job_id, claim.instance, electorate.home, electorate.voters, value, config_epoch=claim.config_epoch
                )
            except NoMajority as error:
                log.warning("job.not_rehomed", job=job_id, reason=str(error))
            else:
                return isinstance(stands, Rehomed)  # it has ended, and its files are with the home: only a person helps
        elif self._auto_adopt_after_s and self._silent_s(away) > self._auto_adopt_after_s:
            await self._adopt(job_id, claim, runs_again=False)
        elif self._is_provisional:
            log.warning("job.provisional", job=job_id, lost=away.name)
            self._jobs.take(stored, provisional=_unreachable(job_id, away))
        return True

    async def _adopt(self, job_id: str, claim: Claim, *, runs_again: bool) -> Job:
        living = tuple(sorted(self._cluster.living()))
        await self._decisions.adopt(job_id, claim.instance, self._node_id, living)
        if self._jobs.has(job_id):
            await self._jobs.give_up(self._jobs.get(job_id), f"{job_id} was adopted")
        stored = await self._ledger.job(job_id)
        if stored is None:
            raise NotFound(f"job {job_id} was removed meanwhile")
        job = self._jobs.take(stored)
        if job is None:
            raise WrongState(f"the record of {job_id} never came here, or a newer realign wrote it; it cannot go on")
        if job.record.state in RUNNABLE or (runs_again and job.record.state not in ("paused", "failed", "cancelled")):
            job.record.state, job.record.ended_unix_s = "queued", 0.0
        job.record.provisional = ""
        await self._ledger.save_record(job_id, record_to_json(job.record))
        self._jobs.wake()
        return job

    async def _make_final(self, job: Job) -> None:
        """Has the end decided that no majority stood behind when it came, and puts the output in its place."""
        record = job.record
        state = cast("EndState", record.state)
        match await self._endings.settle(job, state, await self._endings.manifest(job)):
            case Provisional() | Elsewhere():
                return  # who is elsewhere is given up at the next look
            case Final(decision=decision):
                pass
        is_written, folder = bool(record.output), Path(record.output)
        reason, record.provisional, record.decision = record.provisional, "", decision
        if is_written:
            try:
                written = await asyncio.to_thread(of_folder, folder)
                await self._output.put(job.spec, record, written, state=state)
            except (OSError, ValueError, KeyError) as error:
                record.provisional = reason
                log.warning("job.not_final", job=job.spec.job_id, reason=repr(error))
                return
        await self._ledger.save_record(job.spec.job_id, record_to_json(record))
        await self._output.remove_provisional(job.spec.job_id)
        text = f"{job.spec.job_id} is final: {record.output}"
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
