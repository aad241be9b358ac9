"""Restored: a ledger that is an older copy of itself, put back from a backup, and how it becomes another one.

Others know it by what they have taken in: positions that an earlier run of the daemon has given out, and that were not
in it when this run began. What it has forgotten may be promises and votes, so from then on it is as good as lost; see
decision.amnesia.
"""

from __future__ import annotations

import sqlite3

from realign_daemon.journal.entries import Position


def is_older(position: Position, *, here: Position) -> bool:
    """Whether a node that follows this ledger has taken in more of it than there was when this run began, at `here`."""
    return position.index_id == here.index_id and position.boot not in ("", here.boot) and position.seq > here.seq


def begin_anew(connection: sqlite3.Connection, *, index_id: str, now_unix_s: float) -> None:
    """Gives it another name, so that all others take it in from the start, and makes it begin to vote now.

    Runs inside a transaction of the caller.
    """
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?,?)",
        (("index_id", index_id), ("voted_before", "1"), ("born_unix_s", str(now_unix_s))),
    )
    connection.execute("DELETE FROM ballots")  # later ones may have gone out
