"""Endings: has the voters of a job decide how it ends, before anybody takes the end for final."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, assert_never

import structlog

from realign_daemon.curation.job import Job
from realign_daemon.curation.record import Decided
from realign_daemon.decision.decisions import Standing
from realign_daemon.decision.errors import NoMajority
from realign_daemon.decision.value import Ended, EndState, Rehomed, Value, manifest
from realign_daemon.engine.api import Sha256
from realign_daemon.work.ledger import Ledger

log = structlog.get_logger()

UNDECIDED = "provisional: the job's voters have not confirmed its end yet"  # and were not all asked
MOST_INSTANCES = 5  # that one end may begin: more than the crashes between deciding and writing that anybody meets


class Decides(Protocol):
    """See decision.decisions.Decisions."""

    async def decide(
        self, job_id: str, instance: int, home: str, voters: tuple[str, ...], value: Value, *, config_epoch: int = 0
    ) -> Value:
        """The value that stands. Raises NoMajority."""
        ...

    async def standing(self, job_id: str, instance: int) -> Standing | None:
        """What stands, as far as is known here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The end was decided as proposed."""

    decision: Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """It was not decided yet; one sentence says why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The job has another home, or was removed: what this node made of it does not count."""


End = Final | Provisional | Elsewhere


class Endings:
    """For the jobs that this node runs."""

    def __init__(
        self,
        *,
        node_id: str,
        ledger: Ledger,
        decisions: Decides,
        living: Callable[[], tuple[str, ...]],
        name_of: Callable[[str], str],
    ) -> None:
        """`living` are the ids of the nodes that can be reached, this one and witnesses included."""
        self._node_id = node_id
        self._ledger = ledger
        self._decisions = decisions
        self._name_of = name_of
        self.living = living

    def may_be_decided(self, job: Job) -> bool:
        """Whether this node is the job's home and reaches a majority of its voters."""
        return job.claim.home == self._node_id and not job.claim.missing(self.living())

    async def manifest(self, job: Job) -> Sha256:
        """The hash of all that the job has used here."""
        job_id = job.spec.job_id
        return manifest(await self._ledger.used(job_id), await self._ledger.quarantined(job_id))

    async def settle(self, job: Job, state: EndState, digest: Sha256) -> End:
        """Has the job's end decided, with the manifest of what it used. Only its home can.

        An end that this home got decided before, and died before it wrote what it meant, is followed by an instance of
        its own: nobody has seen anything of it.
        """
        value = Ended(state=state, manifest=digest)
        if await self._ledger.job(job.spec.job_id) is None:
            return Elsewhere()  # it was removed: nobody votes on it any more, and nobody wants its files
        for _ in range(MOST_INSTANCES):
            end = await self._propose(job, value)
            if end is not None:
                return end
            if not await self.begin_next(job):
                return Elsewhere()
        return Provisional(reason=self._lacking(job.spec.job_id, ()))

    async def _propose(self, job: Job, value: Ended) -> End | None:
        """What comes of proposing it in the instance that stands; None where another end was decided in that."""
        job_id, claim = job.spec.job_id, job.claim
        if claim.home != self._node_id:
            return Provisional(reason=job.record.provisional or self._lacking(job_id, (claim.home,)))
        if missing := claim.missing(self.living()):
            return Provisional(reason=self._lacking(job_id, missing))
        electorate = claim.electorate
        try:
            stands = await self._decisions.decide(
                job_id, claim.instance, electorate.home, electorate.voters, value, config_epoch=claim.config_epoch
            )
        except NoMajority as error:
            return Provisional(reason=self._lacking(job_id, error.missing))
        match stands:
            case Rehomed():
                return Elsewhere()
            case Ended() if stands == value:
                return _final(claim.instance, await self._decisions.standing(job_id, claim.instance))
            case Ended():
                log.warning("job.decided_anew", job=job_id, before=stands, instance=claim.instance + 1)
                return None
            case _:
                assert_never(stands)

    async def begin_next(self, job: Job) -> bool:
        """Begins the job's next instance where an end of this one stands; False where it is no job of this home."""
        job_id = job.spec.job_id
        standing = await self._decisions.standing(job_id, job.claim.instance)
        if standing is None:
            return True
        if isinstance(standing.value, Rehomed):
            return False
        claim = await self._ledger.begin_next(
            job_id, after=job.claim.instance, voters=self.living(), config_epoch=standing.config_epoch
        )
        if claim is None:
            return False
        job.claim = claim
        return True

    def _lacking(self, job_id: str, missing: Iterable[str]) -> str:
        names = ", ".join(map(self._name_of, missing)) or "a majority of its voters"
        return (
            f"provisional: the end of {job_id} waits for {names} to confirm it; it becomes final when they are back, "
            f"or by `realignctl adopt {job_id}` if they are gone for good"
        )


def _final(instance: int, standing: Standing | None) -> End:
    """What was decided a moment ago: somebody may have removed or adopted the job since."""
    if standing is None or not isinstance(standing.value, Ended):
        return Elsewhere()
    value = standing.value
    return Final(
        decision=Decided(
            instance=instance, config_epoch=standing.config_epoch, end=value.state, manifest=value.manifest
        )
    )
