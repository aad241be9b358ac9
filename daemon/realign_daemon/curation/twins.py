"""Twins: jobs that one submit made more than once, as a node that had taken it died before it could say so.

None of them is cancelled: nothing tells which one its owner was told of. They share their results, so that the second
one to run costs little; their records name each other.
"""

from __future__ import annotations

from collections.abc import Collection

from realign_daemon.curation.job import Job
from realign_daemon.curation.record import record_to_json
from realign_daemon.work.ledger import Ledger


class Twins:
    """For the jobs that this node runs."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: frozenset[str] = frozenset()  # jobs among which twins were looked for
        self._found: dict[str, tuple[str, ...]] = {}

    async def mark(self, jobs: Collection[Job], known: Collection[str]) -> None:
        """Has the records of these jobs name their twins among all that are `known`: a run forgets its warnings."""
        names = frozenset(known)
        if names != self._known:
            self._known, self._found = names, await self._ledger.twins()
        for job in jobs:
            others = self._found.get(job.spec.job_id)
            if others is None or (text := _warning(others)) in job.record.warnings:
                continue
            job.record.warnings.append(text)
            if job.record.is_ended:  # nobody else saves it
                await self._ledger.save_record(job.spec.job_id, record_to_json(job.record), of=job.claim)


def _warning(others: tuple[str, ...]) -> str:
    return (
        f"the same submit was taken by another node, too, as {', '.join(others)}: cancel the job that you do not need"
    )
