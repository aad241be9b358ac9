"""Timing: how long the cluster waits before it believes something. Tests shrink it, nothing else does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Fixed timeouts, in seconds.

    Fixed and not adaptive: on one LAN the noise is our own stalls, which the lag rule takes care of, and a fixed figure
    can be promised: worker given up after 6 s, a new leader within 8 s.
    """

    beat_s: float = 1.0
    tick_s: float = 0.25
    suspect_s: float = 3.0  # no new work for the node
    dead_s: float = 6.0  # its work goes to others
    lag_s: float = 1.0  # a longer gap in our own loop means that we, not they, were silent
    outrank_s: float = 60.0  # how long a steadier node waits before it takes over
    call_s: float = 3.0  # deadline of a Hello
    redial_s: float = 0.5  # first wait after a failed dial; doubles
    redial_max_s: float = 4.0
    interfaces_s: float = 5.0  # how often the machine's addresses are looked at


DEFAULT = Timing()
