"""Losses: which homes of jobs are given up here, and for how long they have been."""

from __future__ import annotations

from collections.abc import Callable, Collection

from realign_daemon.clock import Clock
from realign_daemon.curation.replicas import Away

# A home that was not heard since this daemon started counts as gone after this: nodes meet within seconds, by Bonjour
# within ten.
NEVER_HEARD_S = 30.0


class Losses:
    """Counts the time during which this machine was awake: while it slept it was itself away."""

    def __init__(self, *, node_id: str, away: Callable[[str], Away | None], clock: Clock) -> None:
        """`node_id` is this node, which is never lost; for `away` see custody.Cluster."""
        self._node_id = node_id
        self._away = away
        self._clock = clock
        self._began_s = clock.awake()
        self._since_s: dict[str, float] = {}

    def of(self, node: str) -> Away | None:
        """What is known of a node that is given up; None for one that is there, or that may just not be met yet."""
        away = None if node == self._node_id else self._away(node)
        if away is None or away.heard_unix_s is not None:
            return away
        return away if self._clock.awake() - self._began_s > NEVER_HEARD_S else None

    def look(self, nodes: Collection[str]) -> None:
        """Notes of these nodes which are given up from now on, or no more; to be called often."""
        now_s = self._clock.awake()
        self._since_s = {node: self._since_s.get(node, now_s) for node in nodes if self.of(node) is not None}

    def has(self, node: str) -> bool:
        """Whether the node was given up, as of the last look."""
        return node in self._since_s

    def lasts_s(self, node: str) -> float:
        """For how long the node was given up, as of the last look."""
        now_s = self._clock.awake()
        return now_s - self._since_s.get(node, now_s)
