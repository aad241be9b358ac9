"""Shares: who works, and which part of the examples each node gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

JOIN_FRACTION: Final = 0.25  # of the fastest node's speed; below it a node costs more in waiting than it brings
_SLACK: Final = 1e-9  # so that a node at exactly the fraction joins whatever the rounding


def joining(speeds: Mapping[str, float]) -> tuple[str, ...]:
    """The nodes worth using, fastest first, ties by name."""
    order = sorted(speeds, key=lambda name: (-speeds[name], name))
    fastest = speeds[order[0]] if order else 0.0
    return tuple(name for name in order if speeds[name] >= JOIN_FRACTION * fastest * (1 - _SLACK))


def split(speeds: Mapping[str, float]) -> dict[str, float]:
    """Each node's share in ratio to its speed. Shares sum to 1."""
    total = sum(speeds.values())
    return {name: speed / total for name, speed in speeds.items()}
