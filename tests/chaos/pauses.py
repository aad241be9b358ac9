"""Pauses: how long no result was kept after an injury, as the logs and ledgers of the nodes say it afterwards."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from tests.chaos.daemon import Daemon

_KEPT = "SELECT ended_unix_s FROM executions WHERE outcome='done'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """When groups stood and results were kept, anywhere, in order; by the wall clock of the one machine."""

    formed_unix_s: Sequence[float]
    kept_unix_s: Sequence[float]

    def resumed_unix_s(self, at_unix_s: float, *, breaks: bool) -> float | None:
        """When the first result was kept after an injury, of a new group where it `breaks` the old; None if never."""
        after = _next(self.formed_unix_s, at_unix_s) if breaks else at_unix_s
        return None if after is None else _next(self.kept_unix_s, after)


def read_course(daemons: Iterable[Daemon]) -> Course:
    """What daemons that have ended left."""
    formed: list[float] = []
    kept: list[float] = []
    for daemon in daemons:
        formed += [datetime.fromisoformat(one["timestamp"]).timestamp() for one in daemon.events("group.formed")]
        with closing(sqlite3.connect(daemon.folder / "ledger.sqlite")) as connection:
            kept += [at for (at,) in connection.execute(_KEPT)]
    return Course(formed_unix_s=sorted(formed), kept_unix_s=sorted(kept))


def _next(ordered: Sequence[float], after: float) -> float | None:
    place = bisect_right(ordered, after)
    return ordered[place] if place < len(ordered) else None
