"""Defect: something that goes wrong in curation, how to make it go wrong, and the check of the workflow against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.selftest.trial import Trial

# Changes a trial. Gives why there is nothing that it could be planted in; "" when it is planted.
Plant = Callable[[Trial], str]


class Check(Protocol):
    """What a workflow looks at its own work with. Two equal checks say the same of the same trial."""

    @property
    def stage(self) -> str:
        """The stage that does it."""
        ...

    @property
    def name(self) -> str:
        """The metric that it measures, or what it drops rows for or warns of."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it is about all items together, so that a part of them would not do."""
        ...

    async def fires(self, trial: Trial) -> str:
        """What it says against the trial; empty when it lets that pass."""
        ...

    def found(self, record: JobRecord) -> bool:
        """Whether it spoke against the job itself, so that it cannot tell a planted defect from the job's own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One kind of defect. `name` says in a few words what is wrong."""

    name: str
    check: Check
    plant: Plant
