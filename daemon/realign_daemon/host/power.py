"""Power: what feeds this machine just now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import psutil

PowerSource = Literal["ac", "battery", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Where the current comes from, and how full the battery is (0..1; None without one)."""

    source: PowerSource
    battery_fraction: float | None = None


def read_power() -> Power:
    """The state now. A machine without a battery runs on the mains."""
    try:
        battery = cast("Any", psutil.sensors_battery())
    except OSError:
        return Power(source="unknown")
    return power_of(None if battery is None else battery.percent, None if battery is None else battery.power_plugged)


def power_of(percent: float | None, plugged: bool | None) -> Power:  # noqa: FBT001 - psutil's own two fields
    """What a battery's charge in percent (None: there is none) and its plug (None: the system cannot tell) mean."""
    if percent is None:
        return Power(source="ac")
    fraction = min(1.0, max(0.0, percent / 100))
    if plugged is None:
        return Power(source="unknown", battery_fraction=fraction)
    return Power(source="ac" if plugged else "battery", battery_fraction=fraction)
