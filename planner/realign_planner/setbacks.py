"""Setbacks: groups of nodes that were lost, and what may therefore not be tried again for a while.

The ladder after a loss follows from them, as `choose` takes the best of what is not barred: the same nodes over the
ring where it was JACCL; then without the nodes that failed; then whatever else holds the model; and where nothing else
does, what failed once more, before it rests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from realign_planner.plan import Backend

# How long what failed rests: after its first loss, and after every later one. A machine that woke or a daemon that was
# started again is back within a minute; what fails twice has a cause that time alone does not mend (own choice).
RESTS_S: Final = (60.0, 600.0)
# Where nothing else holds the model, what failed is tried again at once, and then after so long: a link or a daemon
# that was gone for seconds is back. A group that gave good results begins anew (own choice).
LAST_RESORT_RESTS_S: Final = (0.0, 5.0, 10.0, *RESTS_S)

Formation = tuple[frozenset[str], Backend]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """A group that was lost, or could not be formed."""

    nodes: tuple[str, ...]
    backend: Backend
    lost: tuple[str, ...]  # the nodes that failed; empty where nobody in particular did
    at_s: float
    worked: bool = False  # it had given good results before

    @property
    def formation(self) -> Formation:
        """What was tried."""
        return frozenset(self.nodes), self.backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What may not be tried now."""

    nodes: Mapping[str, float] = field(default_factory=dict[str, float])  # not part of any group before then
    formations: Mapping[Formation, float] = field(default_factory=dict[Formation, float])  # not formed before then
    next: Formation | None = None  # what comes before all others: over the ring the nodes that JACCL lost last

    def allows(self, nodes: Collection[str], backend: Backend) -> bool:
        """Whether these nodes may form a group over this backend."""
        return not self.nodes.keys() & set(nodes) and (frozenset(nodes), backend) not in self.formations

    def but_for(self, nodes: Collection[str], backend: Backend) -> Bars:
        """These bars without any on a group that works, which comes before all others."""
        kept = frozenset(nodes), backend
        return Bars(
            nodes={node: until_s for node, until_s in self.nodes.items() if node not in nodes},
            formations={one: until_s for one, until_s in self.formations.items() if one != kept},
            next=kept,
        )

    def named(self, names: Mapping[str, str]) -> Bars:
        """These bars with other names for the nodes; a node without one keeps its own."""

        def name(node: str) -> str:
            return names.get(node, node)

        return Bars(
            nodes={name(node): until_s for node, until_s in self.nodes.items()},
            formations={
                (frozenset(map(name, nodes)), backend): until_s for (nodes, backend), until_s in self.formations.items()
            },
            next=self.next and (frozenset(map(name, self.next[0])), self.next[1]),
        )

    @property
    def until_s(self) -> float | None:
        """When the first of them ends; None when there is none."""
        return min((*self.nodes.values(), *self.formations.values()), default=None)


NO_BARS: Final = Bars()


def bars(setbacks: Sequence[Setback], now_s: float, *, is_last_resort: bool = False) -> Bars:
    """What rests at `now_s` after these setbacks, the oldest first.

    A formation rests after each of its losses. A node that failed rests from all groups when the ring lost it: over
    JACCL the link may be to blame, so that the same nodes try the ring first.

    As a last resort only that rests which failed again before it gave a good result: a rank that was killed is no
    reason to stand still.
    """
    failed: Counter[str | Formation] = Counter()
    nodes: dict[str, float] = {}
    formations: dict[Formation, float] = {}
    for setback in setbacks:
        until_s = partial(_until_s, setback, failed, is_last_resort=is_last_resort)
        formations[setback.formation] = until_s(setback.formation)
        for node in setback.lost if setback.backend == "ring" else ():
            nodes[node] = until_s(node)
    barred = Bars(
        nodes={node: until_s for node, until_s in nodes.items() if until_s > now_s},
        formations={formation: until_s for formation, until_s in formations.items() if until_s > now_s},
    )
    if not setbacks or setbacks[-1].backend != "jaccl" or setbacks[-1].formation not in barred.formations:
        return barred
    last = setbacks[-1].nodes
    return replace(barred, next=(frozenset(last), "ring")) if barred.allows(last, "ring") else barred


def _until_s(
    setback: Setback, failed: Counter[str | Formation], what: str | Formation, *, is_last_resort: bool
) -> float:
    """When the rest ends that this loss gives to what failed, which it counts."""
    if is_last_resort and setback.worked:
        failed[what] = 0
    failed[what] += 1
    rests_s = LAST_RESORT_RESTS_S if is_last_resort else RESTS_S
    return setback.at_s + rests_s[min(failed[what], len(rests_s)) - 1]
