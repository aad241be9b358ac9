"""Amnesia: what a voter keeps out of once its ledger was lost: it may have promised there what it has forgotten.

The schema notes when a ledger was made, and whether the node could have voted before. Every function runs inside a
transaction of the caller.
"""

from __future__ import annotations

import sqlite3

from realign_daemon.journal.jobs import is_removed

CLOCKS_DIFFER_S = 3600.0  # at most, between nodes: machines that set their clocks by network are seconds apart


def open_epochs(connection: sqlite3.Connection, job_id: str, known: frozenset[int]) -> frozenset[int]:
    """Those of the known config epochs in which this node may vote on the job. On a removed job nobody votes."""
    if is_removed(connection, job_id):
        return frozenset()
    if not is_amnesiac(connection) or _remembers(connection, job_id):
        return known
    rows = connection.execute("SELECT promised_config_epoch FROM ballots WHERE job_id=?", (job_id,))
    return known & {int(row[0]) for row in rows}  # adopted here, since


def is_amnesiac(connection: sqlite3.Connection) -> bool:
    """Whether this node was one before it had this ledger."""
    return connection.execute("SELECT 1 FROM meta WHERE key='voted_before'").fetchone() is not None


def tag(connection: sqlite3.Connection, node: str) -> str:
    """For whom a config epoch is minted here: with another ledger the node is another one, which repeats none."""
    row = connection.execute("SELECT value FROM meta WHERE key='born_unix_s'").fetchone()
    return f"{node} {row[0]}" if is_amnesiac(connection) else node


def begin(connection: sqlite3.Connection, job_id: str) -> None:
    """Notes that the job begins here: whatever this node says of it, this ledger knows."""
    connection.execute(
        "INSERT OR IGNORE INTO ballots (job_id, instance, promised_config_epoch, promised_epoch, promised_node) "
        "VALUES (?,0,0,0,'')",
        (job_id,),
    )


def _remembers(connection: sqlite3.Connection, job_id: str) -> bool:
    """Whether the job was submitted here, or long enough after the ledger was made."""
    query = (
        "SELECT 1 FROM ballots WHERE job_id=:job AND instance=0 UNION ALL "
        "SELECT 1 FROM jobs, meta WHERE job_id=:job AND key='born_unix_s' AND created_unix_s >= value + :differ"
    )
    return connection.execute(query, {"job": job_id, "differ": CLOCKS_DIFFER_S}).fetchone() is not None
