"""Senses: how a daemon looks at the machine that it runs on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realign_daemon.cluster.facts import Cable
from realign_daemon.host.benchmark import software
from realign_daemon.host.cables import fit_cables
from realign_daemon.host.facts import HostFacts, free_bytes, read_facts
from realign_daemon.host.login import somebody_is_logged_in
from realign_daemon.host.power import Power, read_power
from realign_daemon.host.pressure import Pressure, read_pressure


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The room of a disk."""

    total_bytes: int
    free_bytes: int


def read_disk(folder: Path) -> Disk:
    """The one that the folder lies on."""
    found = shutil.disk_usage(folder)
    return Disk(total_bytes=found.total, free_bytes=found.free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """What can be asked of the operating system; all but `free_bytes` may run programs and belong into a thread."""

    facts: Callable[[], HostFacts] = read_facts
    free_bytes: Callable[[], int] = free_bytes
    power: Callable[[], Power] = read_power
    pressure: Callable[[], Pressure] = read_pressure
    is_in_use: Callable[[], bool] = somebody_is_logged_in
    disk: Callable[[Path], Disk] = read_disk
    software: Callable[[], str] = software
    cables: Callable[[], tuple[Cable, ...]] = fit_cables


SENSES = Senses()  # those of a real machine
