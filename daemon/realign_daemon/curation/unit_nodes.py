"""Unit nodes: which node computed each unit of a job, in few bytes for as long as the job runs."""

from __future__ import annotations

import sys
from typing import Final

from realign_daemon.work.units import UnitKey

# 60 bits fill Python's small whole numbers; of ten million units two have the same with a chance of 1 in 23,000.
KEY_DIGITS: Final = 15


class UnitNodes:
    """The node of each unit that was noted: about 90 bytes a unit instead of the 400 of a dictionary of keys."""

    def __init__(self) -> None:
        self._nodes: dict[int, str] = {}

    def __contains__(self, key: UnitKey) -> bool:
        return _short(key) in self._nodes

    def __getitem__(self, key: UnitKey) -> str:
        return self._nodes[_short(key)]

    def note(self, key: UnitKey, node: str) -> None:
        """Remembers the node of a unit."""
        self._nodes[_short(key)] = sys.intern(node)  # every row of the ledger has a copy of the name


def _short(key: UnitKey) -> int:
    return int(key[:KEY_DIGITS], 16)
