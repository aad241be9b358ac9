"""Thunderbolt: a Mac's ports, what is plugged into them, and whether it can do RDMA at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from realign_planner.diagnosis.answer import document, objects, word

TYPE = "SPThunderboltDataType"
RDMA_GBPS = 80  # Thunderbolt 5, which alone has RDMA (TN3205); 4 and 3 run at 40

# Which chips have Thunderbolt 5 by Apple's technical specifications. A plain M5 and what comes later is not listed:
# their ports say it.
_WITHOUT = re.compile(r"Intel|Virtual|^VirtualApple|\bM[12]\b|\bM3(?! Ultra)|\bM4(?! Pro| Max| Ultra)")
_WITH = re.compile(r"\bM3 Ultra|\bM4 (?:Pro|Max|Ultra)|\bM5 (?:Pro|Max|Ultra)")
_SPEED = re.compile(r"(\d{1,4})(?:[.,]\d)?\s*Gb")
_RECEPTACLE = re.compile(r"\d{1,2}")

Ability = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A receptacle. `peer` is the domain of the Mac at the other end, "" without one; docks and displays have none."""

    receptacle: str  # as in "Thunderbolt 2" of networksetup; "" when it is not said
    domain: str  # this end's UUID
    peer: str
    gbps: int | None  # of the link, or without one at most; None when it is not said


def read_ports(text: str | None) -> tuple[Port, ...] | None:
    """The ports in `system_profiler SPThunderboltDataType -json`; None when that could not be read."""
    found = document(text)
    if found is None or not isinstance(found.get(TYPE), list):
        return None
    return tuple(_port(bus, tag) for bus in objects(found[TYPE]) for tag in _receptacles(bus))


def ability(chip: str, ports: tuple[Port, ...] | None) -> Ability:
    """Whether this Mac's hardware can do RDMA. A port that is fast says so; else the chip; else ports that are slow."""
    speeds = [port.gbps for port in ports or () if port.gbps is not None]
    if any(gbps >= RDMA_GBPS for gbps in speeds):
        return "yes"
    if _WITHOUT.search(chip):
        return "no"
    if _WITH.search(chip):
        return "yes"
    return "no" if speeds or (ports == () and chip) else "unknown"


def _receptacles(bus: dict[str, Any]) -> list[dict[str, Any]]:
    return objects([value for key, value in bus.items() if re.fullmatch(r"receptacle_\d+_tag", key)])


def _port(bus: dict[str, Any], tag: dict[str, Any]) -> Port:
    receptacle = word(tag.get("receptacle_id_key"))
    speed = _SPEED.search(word(tag.get("current_speed_key")))
    peers = [word(item.get("domain_uuid_key")) for item in objects(bus.get("_items"))]
    return Port(
        receptacle=receptacle if _RECEPTACLE.fullmatch(receptacle) else "",
        domain=word(bus.get("domain_uuid_key")).upper(),
        peer=next((peer.upper() for peer in peers if peer), ""),
        gbps=int(speed[1]) if speed else None,
    )
