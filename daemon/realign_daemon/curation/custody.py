"""Custody: which jobs this node runs: its own, those that the voters gave it, and for a while those of a lost home."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, assert_never, cast
from weakref import WeakValueDictionary

import structlog

from realign_daemon.clock import Clock
from realign_daemon.curation.endings import Endings, Final
from realign_daemon.curation.events import JobNews
from realign_daemon.curation.job import Job
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.losses import Losses
from realign_daemon.curation.output import Output
from realign_daemon.curation.record import record_to_json
from realign_daemon.curation.relief import Cluster, Deciding, Relief
from realign_daemon.curation.twins import Twins
from realign_daemon.curation.written import of_folder
from realign_daemon.decision.claim import Claim
from realign_daemon.decision.value import EndState, Rehomed
from realign_daemon.errors import Ambiguous, NotFound, RealignError, WrongState
from realign_daemon.work.ledger import Ledger, StoredJob
from realign_daemon.worker.errors import WorkerError

log = structlog.get_logger()

LOOK_EVERY_S = 1.0
REST_S = 10.0  # of a job about which nothing could be done, as long as a decision is waited for; between sweeps, too

# What a look finds to do about a job: compare what runs here with where it is homed, run it, cancel it as somebody
# asked for, have an end confirmed that is provisional, find it a home.
Due = Literal["compare", "take", "cancel", "confirm", "relieve"]
Wishes = frozenset[tuple[str, int, int]]  # see Ledger.cancels


class Custody:
    """`run` must be running for anything to happen by itself. About one job only one thing happens at a time."""

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
        self.node_id = node_id
        self._jobs = jobs
        self._ledger = ledger
        self._output = output
        self._endings = endings
        self._decisions = decisions
        self._leads = cluster.leads
        self._clock = clock
        self._twins = Twins(ledger)
        self._losses = Losses(node_id=node_id, away=cluster.away, clock=clock)
        self._relief = Relief(
            node_id=node_id,
            jobs=jobs,
            ledger=ledger,
            decisions=decisions,
            cluster=cluster,
            losses=self._losses,
            clock=clock,
            is_provisional=is_provisional,
            auto_adopt_after_s=auto_adopt_after_s,
        )
        self._turns = WeakValueDictionary[str, asyncio.Lock]()
        self._rests_until_s: dict[str, float] = {}  # jobs about which nothing can be done for now
        self._sweep_due_s = clock.continuous()

    async def run(self) -> None:
        """Looks every second, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await self.look(tasks)
                except sqlite3.OperationalError as error:  # the next look is a new try
                    log.warning("custody.disk", reason=str(error))
                except Exception:  # the boundary of one look: a defect in it must not take the daemon with it
                    log.exception("custody.crashed")
                await self._clock.sleep(LOOK_EVERY_S)

    async def look(self, tasks: asyncio.TaskGroup) -> None:
        """Begins, among these tasks, what brings the jobs that run here in line with where they are homed by now.

        A job about which something is under way is left to that: nobody waits for a voter that gives no answer.
        """
        claims, wishes = await self._ledger.claims(), await self._ledger.cancels()
        self._losses.look({claim.home for claim in claims.values()})
        for job_id, claim in claims.items():
            if self._due(job_id, claim, wishes) is not None and not self._turn(job_id).locked():
                attending = self._in_turn(job_id, lambda stored: self._attend(stored, wishes))
                tasks.create_task(attending, name=f"custody.{job_id}")
        if self._clock.continuous() >= self._sweep_due_s:
            self._sweep_due_s = self._clock.continuous() + REST_S
            tasks.create_task(self._sweep(), name="custody.sweep")
        await self._twins.mark(self._jobs.all(), claims)

    async def adopt(self, reference: str) -> Job:
        """Makes this node the home of a job whose home is lost, by a person's word. What had ended runs again.

        Raises:
            NotFound, Ambiguous: no job of that name, or several.
            WrongState: its home is there, and needs nobody's help.
        """
        job_id, _ = await self.homed(reference)
        async with self._turn(job_id):
            job_id, claim = await self.homed(job_id)  # as it is by now
            if claim.home == self.node_id:
                if self._jobs.has(job_id) and not self._jobs.get(job_id).record.provisional:
                    raise WrongState(f"the home of {job_id} is there and sees to it itself; there is nothing to adopt")
            elif self._losses.of(claim.home) is None:
                raise WrongState(
                    f"the home of {job_id} can be reached, or may be in a moment; only a lost one is replaced"
                )
            job = await self._relief.adopt(job_id, claim, runs_again=True)
        self._rests_until_s.pop(job_id, None)
        return job

    async def adopt_all(self, node: str) -> None:
        """Makes this node the home of all jobs of a lost node. What had ended stays as it is."""

        async def inherit(stored: StoredJob) -> None:
            if stored.home == node:
                await self._relief.adopt(stored.job_id, stored.claim, runs_again=False)

        for job_id in [job_id for job_id, claim in (await self._ledger.claims()).items() if claim.home == node]:
            await self._in_turn(job_id, inherit)

    async def homed(self, reference: str) -> tuple[str, Claim]:
        """The one job of the cluster whose id begins so, and under what it is decided. Raises NotFound, Ambiguous."""
        claims = await self._ledger.claims()
        found = [job_id for job_id in claims if reference and job_id.startswith(reference)]
        if len(found) != 1:
            error = Ambiguous if found else NotFound
            raise error(f"{len(found) or 'no'} jobs begin with {reference!r}; `realignctl jobs` lists them")
        return found[0], claims[found[0]]

    async def home_of(self, reference: str) -> str:
        """The id of the home of the job that `homed` gives; empty where no such job has been heard of here."""
        with suppress(NotFound):
            return (await self.homed(reference))[1].home
        return ""

    async def ask_to_cancel(self, job: Job, *, by: str) -> None:
        """Notes the wish that a job be cancelled whose home is away; whoever runs it honours it."""
        await self._ledger.ask_to_cancel(job.spec.job_id, job.claim, by=by, at_unix_s=self._clock.unix())

    def _turn(self, job_id: str) -> asyncio.Lock:
        return self._turns.setdefault(job_id, asyncio.Lock())

    async def _in_turn(self, job_id: str, do: Callable[[StoredJob], Awaitable[None]]) -> None:
        """Does something about one job, and lets it rest where that fails: the others must not suffer."""
        async with self._turn(job_id):
            try:
                stored = await self._ledger.job(job_id)
                if stored is not None:
                    await do(stored)
            except (RealignError, WorkerError, sqlite3.OperationalError, OSError, ValueError, KeyError) as error:
                log.warning("custody.failed", job=job_id, reason=str(error))
                self._rest(job_id)
            except Exception:  # the boundary of one job: a defect in it must not take the daemon with it
                log.exception("custody.crashed", job=job_id)
                self._rest(job_id)

    def _rest(self, job_id: str) -> None:
        self._rests_until_s[job_id] = self._clock.continuous() + REST_S

    def _due(self, job_id: str, claim: Claim, wishes: Wishes) -> Due | None:
        """What is to be done first; None for nothing, or nothing yet."""
        job = self._jobs.get(job_id) if self._jobs.has(job_id) else None
        is_lost = self._losses.has(claim.home)
        if job is not None:
            if job.is_moved or claim != job.claim or not (claim.home == self.node_id or is_lost):
                return "compare"
            if not job.record.is_ended and (job_id, claim.config_epoch, claim.instance) in wishes:
                return "cancel"
        if self._clock.continuous() < self._rests_until_s.get(job_id, 0.0):
            return None
        if job is None and claim.home == self.node_id:
            return "take"
        if job is not None and self._is_unconfirmed(job) and self._endings.may_be_decided(job):
            return "confirm"
        return "relieve" if is_lost and self._leads() else None

    async def _attend(self, stored: StoredJob, wishes: Wishes) -> None:
        job_id = stored.job_id
        due = self._due(job_id, stored.claim, wishes)
        match due:
            case "compare":
                await self._compare(self._jobs.get(job_id), stored.claim)
            case "take":
                await self._take(job_id)
            case "cancel":
                await self._jobs.cancel(job_id)
            case "confirm":
                await self._confirm(self._jobs.get(job_id))
            case "relieve":
                if await self._relief.relieve(stored):
                    self._rest(job_id)
            case None:
                pass
            case _:
                assert_never(due)
        if self._jobs.has(job_id) and self._due(job_id, self._jobs.get(job_id).claim, wishes) == "cancel":
            await self._jobs.cancel(job_id)  # taken a moment ago, and not begun yet

    async def _take(self, job_id: str) -> None:
        stored = await self._ledger.job(job_id)
        if stored is not None and stored.home == self.node_id and self._jobs.take(stored) is None:
            self._rest(job_id)

    async def _compare(self, job: Job, claim: Claim) -> None:
        """Forgets what another node runs from now on. What has come back from another one is read anew."""
        job_id = job.spec.job_id
        if claim.home == self.node_id and not (job.is_moved or await self._was_away(job, claim)):
            job.claim = max(job.claim, claim, key=lambda one: (one.config_epoch, one.instance))
            return
        await self._jobs.give_up(job, f"{job_id} goes on at its home")
        await self._take(job_id)

    async def _was_away(self, job: Job, claim: Claim) -> bool:
        """Whether the job had another home since the instance that this node knows, as opposed to a retry here."""
        held = job.claim
        standing = await self._decisions.standing(job.spec.job_id, held.instance)
        is_moved = standing is not None and isinstance(standing.value, Rehomed)
        return held.home != self.node_id or held.config_epoch != claim.config_epoch or is_moved

    async def _confirm(self, job: Job) -> None:
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
        job.closed.clear()  # nobody removes it, or runs it again, from here to the end
        try:
            await self._publish(job, state)
            record.provisional, record.decision = "", end.decision
            await self._ledger.save_record(job_id, record_to_json(record), of=job.claim)
        except BaseException:
            record.provisional = reason
            raise
        finally:
            job.closed.set()
        text = ": ".join(filter(None, (f"{job_id} is final", record.output)))
        job.bulletin.post(JobNews(kind="ended", text=text, at_unix_s=self._clock.unix()))

    async def _publish(self, job: Job, state: EndState) -> None:
        """Writes what lies in the provisional folder as the job's output."""
        record = job.record
        if self._output.is_provisional(record.output):
            written = await asyncio.to_thread(of_folder, Path(record.output))
            record.provisional = ""
            await self._output.put(job.spec, record, written, state=state)

    @staticmethod
    def _is_unconfirmed(job: Job) -> bool:
        """Whether the job has ended provisionally, and all that it made is written."""
        is_at_rest = job.task is None and job.closed.is_set()
        return is_at_rest and job.record.is_ended and bool(job.record.provisional)

    async def _sweep(self) -> None:
        """Removes what is provisional of jobs that are not, or do not run here any more."""
        try:
            await self._output.keep_provisional(self._provisional)
        except OSError as error:
            log.warning("custody.disk", reason=str(error))

    def _provisional(self) -> list[str]:
        """The jobs here that have provisional files, or are about to."""
        jobs = ((job.spec.job_id, job.record) for job in self._jobs.all())
        return [job_id for job_id, record in jobs if record.provisional or self._output.is_provisional(record.output)]
