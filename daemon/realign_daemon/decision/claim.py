"""Claim: under which home, and by whose votes, one instance of a job is decided."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from realign_daemon.decision.quorum import Electorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an instance began with. All who know of the instance know the same."""

    home: str = ""  # node id
    voters: tuple[str, ...] = ()  # node ids; none where the job is older than votes: then its home alone decides
    config_epoch: int = 0
    instance: int = 0

    @property
    def electorate(self) -> Electorate:
        """Who decides."""
        return Electorate(home=self.home, voters=self.voters or (self.home,))

    def missing(self, nodes: Collection[str]) -> tuple[str, ...]:
        """The voters that these nodes lack for a majority: all that are not among them, none where they have one."""
        electorate = self.electorate
        return () if electorate.is_majority(nodes) else tuple(one for one in electorate.voters if one not in nodes)
