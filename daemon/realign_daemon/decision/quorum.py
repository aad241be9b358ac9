"""Electorate: who votes on how a job ends, and when their votes are enough.

The home has 1.5 votes and the others 1. With that any single node but the home can be lost in a cluster of two or of
four; any two majorities share a voter, so no two values are ever decided. Counted in halves, so that it is exact.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

HOME_HALVES = 3
OTHER_HALVES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Electorate:
    """The voters on one instance. Everybody who proposes must know the same."""

    home: str
    voters: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError when the home does not vote, or anybody twice."""
        if self.home not in self.voters or len(set(self.voters)) != len(self.voters):
            message = f"{', '.join(self.voters)} cannot vote under home {self.home}: each votes once, the home too"
            raise ValueError(message)

    def is_majority(self, nodes: Collection[str]) -> bool:
        """Whether these have more than half of all votes. Those who do not vote do not count."""
        return 2 * self._halves(nodes) > self._halves(self.voters)

    def _halves(self, nodes: Collection[str]) -> int:
        votes = OTHER_HALVES * sum(voter in nodes for voter in self.voters)
        return votes + (HOME_HALVES - OTHER_HALVES if self.home in nodes else 0)
