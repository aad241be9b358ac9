"""A stage of a workflow as data: its name, its gates, and the work that one row costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from realign_planner.plan import Role
from realign_planner.volume import Volume

OperationKind = Literal["generate", "judge", "score", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A kind of unit: how many a job makes of it, and how many tokens one reads and writes.

    Counts are of units that are computed: what a stage asks again is remembered. Token figures are planning figures for
    a chunk of about 400 tokens; a pilot replaces them by measured ones.
    """

    kind: OperationKind
    role: Role
    per_passage: float = 0.0  # units for each passage asked about
    per_row: float = 0.0  # units for each row to train on
    fixed: int = 0  # units whatever the volume
    samples: int = 0  # how often each of them is done, unless the job says how many samples it takes; 0: once, always
    most: int | None = None  # units at most: a training takes so many steps
    trainings: int = 1  # one after the other, of which the units are the rows; of a training only
    prompt_tokens: int
    output_tokens: int = 0
    what: str

    def units(self, volume: Volume) -> int:
        """Units for a job of this volume, rounded up."""
        times = (volume.samples or self.samples) if self.samples else 1
        wanted = times * (self.per_passage * volume.passages + self.per_row * volume.rows + self.fixed)
        units = ceil(round(wanted, 6))  # 0.9 * 10 is no more than 9
        return units if self.most is None else min(units, self.most)

    def tokens(self, volume: Volume) -> int:
        """Tokens read and written for a job of this volume."""
        return self.units(volume) * (self.prompt_tokens + self.output_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One of the seven steps of a workflow."""

    name: str
    title: str
    gates: tuple[str, ...]  # metrics that decide whether the job goes on
    reports: tuple[str, ...] = ()  # metrics that are shown and never block
    trains: bool = False
    pilot: bool = False  # runs on the pilot's few items, less the training
    operations: tuple[Operation, ...] = ()

    @property
    def training(self) -> tuple[Operation, ...]:
        """The operations that train."""
        return tuple(operation for operation in self.operations if operation.kind == "train")
