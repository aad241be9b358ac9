"""Policy: what a machine owes its owner. Pure: how the machine is goes in, a reason to take no work comes out."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.config import PowerConfig
from realign_daemon.host.power import Power
from realign_daemon.host.pressure import Pressure

# A machine that was short takes work again only with so much more free, lest it changes its mind every second.
_ROOM_TO_RETURN_FRACTION = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How a machine is now."""

    power: Power
    memory_bytes: int
    free_bytes: int  # that a new process could take
    pressure: Pressure = "unknown"
    user_active: bool = False  # somebody is logged in
    was_short: bool = False  # `memory_shortage` found one at the last look


def reason_to_refuse(situation: Situation, limits: PowerConfig) -> str:
    """Why this machine takes no work for its owner's sake, to be read after its name; "" when it does."""
    return _battery(situation.power, limits) or memory_shortage(situation, limits)


def memory_shortage(situation: Situation, limits: PowerConfig) -> str:
    """Why the memory that an idle model holds should go back, too; "" when there is enough."""
    if situation.pressure == "critical":
        return "it is short of memory"
    if not situation.user_active:
        return ""
    if situation.pressure == "warning":
        return "it runs short of memory and somebody is logged in"
    kept = limits.user_free_fraction + (_ROOM_TO_RETURN_FRACTION if situation.was_short else 0.0)
    free = situation.free_bytes / max(situation.memory_bytes, 1)
    if limits.user_free_fraction and free < kept:
        return f"somebody is logged in and less than {kept:.0%} of its memory is free"
    return ""


def reserved_bytes(situation: Situation, limits: PowerConfig) -> int:
    """Memory that no model may take now."""
    return int(situation.memory_bytes * limits.user_free_fraction) if situation.user_active else 0


def _battery(power: Power, limits: PowerConfig) -> str:
    if power.source != "battery":
        return ""
    if not limits.on_battery:
        return "it runs on its battery, and its owner wants no work then"
    if power.battery_fraction is not None and power.battery_fraction <= limits.battery_floor_fraction:
        return f"it runs on a battery that is {power.battery_fraction:.0%} full"
    return ""
