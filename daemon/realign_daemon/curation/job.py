"""Job: its frozen spec, its record, and those who watch it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from realign_daemon.curation.events import Bulletin
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.spec import JobSpec


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One job homed on this node."""

    spec: JobSpec
    record: JobRecord
    client_token: str
    owner: str = ""  # Principal.key of who submitted it; empty: nobody was told apart then
    bulletin: Bulletin = field(default_factory=Bulletin)
    task: asyncio.Task[None] | None = None  # while it runs
    closed: asyncio.Event = field(default_factory=_set_event)  # not while what a cancelled job made is being written
    material: Material | None = None  # of the run that this process knows of
