"""Setting: what every scenario gets."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cluster import Cluster, Tell
from tests.chaos.outcome import Figures, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One run of one scenario."""

    name: str
    seed: int
    rounds: int
    nodes: int
    minutes: float
    sums: int
    folder: Path  # empty, and removed afterwards when all went well
    tell: Tell  # progress, for people

    @property
    def rng(self) -> random.Random:
        """Chance, the same for the same seed and scenario."""
        return random.Random(f"{self.seed}/{self.name}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the nodes."""
        return ("left", "right", "third")[: self.nodes]

    @asynccontextmanager
    async def cluster(self) -> AsyncGenerator[Cluster]:
        """Without daemons yet; those that it gets end with the block."""
        cluster = Cluster(self.folder, self.rng, self.tell, sums=self.sums)
        try:
            yield cluster
        finally:
            await cluster.stop()

    def outcome(self, violations: Sequence[str], figures: Figures, late: Sequence[str] = ()) -> Outcome:
        """What this run found."""
        return Outcome(
            scenario=self.name,
            seed=self.seed,
            rounds=self.rounds,
            violations=tuple(violations),
            late=tuple(late),
            figures=figures,
        )
