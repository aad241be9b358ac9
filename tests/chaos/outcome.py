"""Outcome: what one scenario found, as one line of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

Figures = dict[str, float | int | str]


class NotInTime(Exception):
    """Something that must happen did not, within a time that no busy machine explains. The text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`violations`: promises that were broken. `late`: figures above their target, which a busy machine can cause."""

    scenario: str
    seed: int
    rounds: int
    violations: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    figures: Figures = field(default_factory=Figures)
    skipped: str = ""  # why it could not be run here

    def line(self) -> str:
        """Without a line's end."""
        return json.dumps(asdict(self))


def quantile(values: Sequence[float], fraction: float) -> float:
    """The least of the values that so many are no greater than."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def spread(name: str, values: Sequence[float]) -> Figures:
    """The middle and the tail of what was measured, in seconds; nothing of nothing."""
    if not values:
        return {}
    return {f"{name}_p50_s": round(quantile(values, 0.5), 2), f"{name}_p99_s": round(quantile(values, 0.99), 2)}


def beyond(figures: Figures, targets: dict[str, float]) -> tuple[str, ...]:
    """A sentence for each figure above its target."""
    return tuple(
        f"{name} is {figures[name]}, target {target}"
        for name, target in targets.items()
        if name in figures and float(figures[name]) > target
    )
