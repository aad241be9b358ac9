"""Quota: how often a client may call, so that one script that went wrong leaves a node to the others."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.clock import Clock
from realign_daemon.errors import Full
from realign_daemon.trust.principal import Principal

BURST_S = 4.0  # of calls at full rate that may come at once: `jobs`, `show` and `status` in a shell loop
MOST_CLIENTS = 1_024  # remembered; more than a cluster has members


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """Fills at a steady rate up to its size; each call takes one out. Pure: the caller says what time it is."""

    per_s: float
    size: float
    level: float
    at_s: float

    def take(self, now_s: float) -> float:
        """Takes one out and gives 0, or the seconds until there is one."""
        self.level = min(self.size, self.level + max(0.0, now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        if self.level < 1.0:
            return (1.0 - self.level) / self.per_s
        self.level -= 1.0
        return 0.0


class Quotas:
    """One bucket for each client. Nodes and the owner of the machine are not counted; at a rate of 0 nobody is."""

    def __init__(self, *, calls_per_s: float, clock: Clock) -> None:
        self._calls_per_s = calls_per_s
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}

    def __len__(self) -> int:
        """Of how many clients it remembers how often they called."""
        return len(self._buckets)

    def admit(self, caller: Principal) -> None:
        """Counts a call. Raises Full when the client calls too often."""
        if caller.kind != "client" or not self._calls_per_s:
            return
        now_s = self._clock.continuous()
        bucket = self._buckets.pop(caller.key, None)
        if bucket is None:
            size = max(1.0, self._calls_per_s * BURST_S)
            bucket = TokenBucket(per_s=self._calls_per_s, size=size, level=size, at_s=now_s)
            if len(self._buckets) >= MOST_CLIENTS:
                del self._buckets[next(iter(self._buckets))]  # the one that has called least recently
        self._buckets[caller.key] = bucket
        if wait_s := bucket.take(now_s):
            raise Full(
                f"{caller.name} calls more than {self._calls_per_s:g} times a second; try again in {wait_s:.1f} s, or "
                "raise [limits] calls_per_s"
            )
