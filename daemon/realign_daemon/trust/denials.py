"""Denials: which refused calls get a line of their own in the audit, so that repeating one cannot fill the disk."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from realign_daemon.trust.audit import Deed
from realign_daemon.trust.roles import ALLOWED

WINDOW_S = 60.0
MAX_KEPT = 1024  # pairs of a caller and a method; the cluster is meant for 16 nodes and their people


@dataclass(slots=True, kw_only=True)
class _Repeated:
    since_s: float
    count: int = 0


class Denials:
    """The first of a caller and a method is told at once; those of the minute after it, as a number with the next."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Repeated] = OrderedDict()

    def note(self, deed: Deed, *, now_s: float) -> Deed | None:
        """What to write down of a refused call; None when it repeats one."""
        # Callers make up names of methods that there are not: they count as one.
        pair = (deed.actor, deed.method if deed.method in ALLOWED else "")
        known = self._known.get(pair)
        if known is not None and now_s - known.since_s < WINDOW_S:
            known.count += 1
            return None
        self._known[pair] = _Repeated(since_s=now_s)
        self._known.move_to_end(pair)
        while len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)
        if known is None or not known.count:
            return deed
        return replace(deed, outcome=f"{deed.outcome} (and {known.count} times since the last line)")
