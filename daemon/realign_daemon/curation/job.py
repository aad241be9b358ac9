"""Job: its frozen spec, its record, and those who watch it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from realign_daemon.curation.events import Bulletin
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord, record_from_json
from realign_daemon.curation.spec import JobSpec, spec_from_json
from realign_daemon.decision.claim import Claim
from realign_daemon.work.job_rows import StoredJob


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One job that this node runs: its own, or one whose home is away."""

    spec: JobSpec
    record: JobRecord
    client_token: str
    claim: Claim = field(default_factory=Claim)  # with another home: it runs here provisionally
    is_moved: bool = False  # its voters gave it another home, and it is to be forgotten here
    owner: str = ""  # Principal.key of who submitted it; empty: nobody was told apart then
    bulletin: Bulletin = field(default_factory=Bulletin)
    task: asyncio.Task[None] | None = None  # while it runs
    closed: asyncio.Event = field(default_factory=_set_event)  # not while what a cancelled job made is being written
    material: Material | None = None  # of the run that this process knows of


def job_of(stored: StoredJob) -> Job:
    """The stored job. Raises ValueError where its record has not come yet, or this version can't read it."""
    return Job(
        spec=spec_from_json(stored.spec),
        record=record_from_json(stored.record),
        client_token=stored.client_token,
        owner=stored.owner,
        claim=stored.claim,
    )
