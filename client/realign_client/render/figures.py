"""Figures as people read them. Pure."""

from __future__ import annotations

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400
UNITS = ("B", "kB", "MB", "GB", "TB")
BAR_WIDTH = 20


def size(count_bytes: float) -> str:
    """Decimal units, as memory and models are sold: 2.8 GB."""
    value, unit = float(count_bytes), 0
    while value >= 1000 and unit < len(UNITS) - 1:  # noqa: PLR2004 - a decimal step
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.3g} {UNITS[unit]}"


def duration(seconds: float) -> str:
    """The two largest units: 1h 5m, 3m 20s, 4.2s."""
    if seconds < MINUTE_S:
        return f"{seconds:.1f}s" if seconds < MINUTE_S / 6 else f"{seconds:.0f}s"
    whole = round(seconds)
    if whole < HOUR_S:
        return f"{whole // MINUTE_S}m {whole % MINUTE_S}s"
    if whole < DAY_S:
        return f"{whole // HOUR_S}h {whole % HOUR_S // MINUTE_S}m"
    return f"{whole // DAY_S}d {whole % DAY_S // HOUR_S}h"


def rate(per_s: float) -> str:
    """Three digits: 3.86 ex/s, 776 ex/s."""
    return f"{per_s:.3g} ex/s"


def number(value: float | None) -> str:
    """Three significant digits; a dash for what is not known."""
    return "-" if value is None else f"{value:.3g}"


def bar(done: int, total: int) -> str:
    """How much is done, BAR_WIDTH characters wide; never full before the last unit."""
    filled = BAR_WIDTH * min(done, total) // total if total else 0
    return "█" * filled + "·" * (BAR_WIDTH - filled)
