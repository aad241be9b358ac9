"""Defect: something that goes wrong in curation, how to make it go wrong, and the check of the workflow against it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.selftest.trial import Trial

# Changes a trial. Gives why there is nothing that it could be planted in; "" when it is planted.
Plant = Callable[[Trial], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(ABC):
    """What a workflow looks at its own work with. Two equal checks say the same of the same trial."""

    stage: str  # that does it
    name: str  # the metric that it measures, or what it drops or warns of
    whole: bool = False  # about all items together, so that a part of them would not do

    @abstractmethod
    async def fires(self, trial: Trial) -> str:
        """What it says against the trial; empty when it lets that pass."""

    def found(self, record: JobRecord) -> bool:  # noqa: ARG002 - what was dropped is not there any more
        """Whether it spoke against the job itself or could not: it cannot tell a planted defect then."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One kind of defect. `name` says in a few words what is wrong."""

    name: str
    check: Check
    plant: Plant
