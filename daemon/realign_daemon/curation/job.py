"""Job: its frozen spec, its record, and those who watch it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from realign_daemon.curation.events import Bulletin
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.spec import JobSpec


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One job homed on this node."""

    spec: JobSpec
    record: JobRecord
    client_token: str
    bulletin: Bulletin = field(default_factory=Bulletin)
    task: asyncio.Task[None] | None = None  # while it runs
    material: Material | None = None  # of the run that this process knows of
