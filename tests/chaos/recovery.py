"""Recovery: what became of jobs over groups that were hit: their rows beside those of a sound node, and the pauses."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests import deep_model
from tests.chaos.cluster import Cluster, Tell
from tests.chaos.injuries import Injured
from tests.chaos.outcome import Figures, beyond, spread
from tests.chaos.pauses import Course, read_course
from tests.chaos.rows import Rows, read_rows

# A pause is from the injury to the next result that was kept; where what is left cannot hold the model it is counted
# from the lost node's return (`back`). Without its home a job waits for the votes that give it another one, or for it.
TARGETS = {"pause_p99_s": 15.0, "back_p99_s": 15.0}
# Ranks that share every layer round their sums in another order than one machine, by up to 1.1e-5 in the
# log-probability of a completion. A choice turns where two tokens are as near as that: with some 5,000 choices a round
# in one round of twenty. None of the hundreds of rows so far was unlike (2026-11-23); a wrong sum turns most of them.
_TURNED_ROWS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One job, when its daemons have ended."""

    name: str
    cluster: Cluster
    memory: Mapping[str, float]  # that models may take of each node, in GB
    injured: Sequence[Injured]

    def outputs(self) -> tuple[Rows, ...]:
        """On every node that has one: a single one, if all went well."""
        daemons = self.cluster.daemons.values()
        return tuple(
            read_rows(path.parent) for daemon in daemons for path in daemon.folder.glob("curated/*/train.jsonl")
        )


class Recovery:
    """Of all rounds so far."""

    def __init__(self, reference: Rows, tell: Tell) -> None:
        """`reference` is what a node makes that holds the model alone."""
        self._reference, self._tell = reference, tell
        self.violations: list[str] = []
        self._waits_s: defaultdict[str, list[float]] = defaultdict(list)
        self._worst_s: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    def add(self, one: Round, violations: Sequence[str]) -> None:
        """Takes a round in, and what its oracle found."""
        found = violations or self._unlike(one)
        self.violations += [f"{one.name}: {violation}" for violation in found]
        course = read_course(one.cluster.daemons.values())
        ends = (*(later.at_unix_s for later in one.injured[1:]), math.inf)
        for injured, until_unix_s in zip(one.injured, ends, strict=False):
            self._measure(injured, course, one.memory, until_unix_s)

    def figures(self) -> tuple[Figures, tuple[str, ...]]:
        """Of everything, and those that are above their targets."""
        figures: Figures = {"rows": self._reference.count, "tensor_rows_unlike": 0, **self._counts}
        for name, waits_s in self._waits_s.items():
            figures |= spread(name, waits_s)
        figures |= {f"{title}_most_s": round(worst_s, 2) for title, worst_s in self._worst_s.items()}
        return figures, beyond(figures, TARGETS)

    def _unlike(self, one: Round) -> list[str]:
        outputs = one.outputs()
        is_exact = all(injured.parallelism == "pipeline" for injured in one.injured)
        unlike = sum(rows.unlike(self._reference) for rows in outputs)
        self._counts["rows_compared"] += sum(rows.count for rows in outputs)
        self._counts["tensor_rows_unlike"] += 0 if is_exact else unlike
        return unlikeness(unlike, self._reference, is_exact=is_exact) if outputs else ["no node has the output"]

    def _measure(self, injured: Injured, course: Course, memory: Mapping[str, float], until_unix_s: float) -> None:
        """A group that was hit again before it gave a result has no pause of its own."""
        self._counts[f"{injured.parallelism}_injuries"] += 1
        at_unix_s = course.resumed_unix_s(injured.at_unix_s, breaks=injured.in_group)
        if at_unix_s is None or at_unix_s > until_unix_s:
            self._tell(f"  {injured.title}: no result came before what followed")
            return
        left_gb = sum(gb for node, gb in memory.items() if node != injured.node)
        is_enough = injured.title.startswith("rank") or left_gb >= deep_model.NEEDED_GB
        kind = "without" if injured.title.startswith("home") else "pause" if is_enough else "back"
        waited_s = at_unix_s - (injured.back_unix_s if kind == "back" else injured.at_unix_s)
        self._waits_s[kind].append(waited_s)
        title = f"{kind}_{injured.title.replace(' ', '_')}"
        self._worst_s[title] = max(self._worst_s[title], waited_s)
        self._tell(f"  {title} {injured.parallelism}: {waited_s:.1f} s")


def unlikeness(unlike: int, reference: Rows, *, is_exact: bool) -> list[str]:
    """What is wrong with so many rows or units of a round that the reference has not.

    Ranks of a pipeline make the same sums in the same order; those of a tensor group may turn a token, and with it a
    row and all units that it came of.
    """
    units_a_row = math.ceil(reference.units.total() / max(1, reference.count))
    most = 0 if is_exact else _TURNED_ROWS * max(1, units_a_row)
    return [f"{unlike} rows or units differ from those of a node that holds the model alone"] if unlike > most else []
