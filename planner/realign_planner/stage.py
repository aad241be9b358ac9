"""A stage of a workflow as data: its name, its gates, and the work that one row costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_planner.plan import Role

OperationKind = Literal["generate", "judge", "score", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A kind of unit: how many a job makes of it, and how many tokens one reads and writes.

    Token figures are planning figures for a chunk of about 400 tokens; a pilot replaces them by measured ones.
    """

    kind: OperationKind
    role: Role
    per_row: float = 0.0  # units for each row asked for
    fixed: int = 0  # units whatever the number of rows
    prompt_tokens: int
    output_tokens: int = 0
    what: str

    def units(self, rows: int) -> int:
        """Units for a job of `rows` rows, rounded up."""
        return -int(-(self.per_row * rows) // 1) + self.fixed

    def tokens(self, rows: int) -> int:
        """Tokens read and written for a job of `rows` rows."""
        return self.units(rows) * (self.prompt_tokens + self.output_tokens)


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
