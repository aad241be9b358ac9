"""Pressure: whether this machine is short of memory, as its operating system judges."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Literal

from realign_daemon.host.program import output_of

Pressure = Literal["normal", "warning", "critical", "unknown"]

# xnu's NOTE_MEMORYSTATUS_PRESSURE_NORMAL, _WARN and _CRITICAL (bsd/sys/event_private.h)
_MACOS_LEVELS: dict[str, Pressure] = {"1": "normal", "2": "warning", "4": "critical"}
_LINUX_STALLS = Path("/proc/pressure/memory")
# Share of the last 10 s in which every process waited for memory. systemd-oomd ends programs at 0.6 (oomd.conf,
# DefaultMemoryPressureLimit); well before that a person notices.
_CRITICAL_FRACTION = 0.6
_WARNING_FRACTION = 0.1


def read_pressure() -> Pressure:
    """The state now. Runs a program on macOS: call it in a thread."""
    if sys.platform == "darwin":
        return macos_pressure(output_of("sysctl", "-n", "kern.memorystatus_vm_pressure_level"))
    try:
        return linux_pressure(_LINUX_STALLS.read_text())
    except OSError:  # a kernel without it, or told not to keep it
        return "unknown"


def macos_pressure(level: str) -> Pressure:
    """What the kernel's level means."""
    return _MACOS_LEVELS.get(level.strip(), "unknown")


def linux_pressure(stalls: str) -> Pressure:
    """What /proc/pressure/memory means."""
    match = re.search(r"^full avg10=(\d+(?:\.\d+)?)", stalls, re.MULTILINE)
    if match is None:
        return "unknown"
    stalled = float(match[1]) / 100
    return "critical" if stalled >= _CRITICAL_FRACTION else "warning" if stalled >= _WARNING_FRACTION else "normal"
