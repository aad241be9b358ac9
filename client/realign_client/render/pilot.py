"""A pilot for a person: rows to look at, provisional gates, and how long the whole job should take. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from realign_client.render.figures import duration, number
from realign_client.render.table import table

SHOWN_CHARACTERS = 160


def pilot_lines(pilot: Mapping[str, Any]) -> list[str]:
    """What the pilot's few items gave."""
    lines = [f"pilot: {pilot['items']} items in {duration(pilot['took_s'])}", ""]
    lines += [item_line(row) for row in pilot["rows"]]
    gates = [
        (
            f"{gate['stage']}/{gate['metric']}",
            gate["tier"] + (", undecided" if gate["undecided"] else ""),
            _figure(gate["value"]),
            f"{_figure(gate['low'])} to {_figure(gate['high'])}" if gate["low"] is not None else "-",
            str(gate["n"]),
        )
        for gate in pilot["gates"]
    ]
    lines += ["", *table(("PROVISIONAL GATE", "TIER", "VALUE", "95 %", "N"), gates, right=(2, 4))]
    stages = [
        (one["stage"], str(one["units"]), f"{duration(one['low_s'])} to {duration(one['high_s'])}", one["basis"])
        for one in pilot["stages"]
    ]
    lines += ["", *table(("STAGE", "UNITS", "TIME", "BASIS"), stages, right=(1,))]
    return [*lines, "", f"the whole job should take about {duration(pilot['eta_s'])}"]


def item_line(item: Mapping[str, Any]) -> str:
    """An item on one line, each of its fields cut to what can be read at a glance."""
    return "  ".join(f"{name}: {_cut(value)}" for name, value in item.items() if name != "id")


def _cut(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _figure(value: float | None) -> str:
    return "-" if value is None else number(value)
