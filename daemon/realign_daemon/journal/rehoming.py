"""Rehoming: where the decisions known here put a job. Inside a transaction of the caller."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from realign_daemon.decision.value import Rehomed, value_from_bytes


def advance(connection: sqlite3.Connection, job_id: str) -> bool:
    """Whether the job's row moved: to the next instance after the highest decision that gave it another home.

    To be called after either of the two has changed, so that nodes that take them in, in whatever order, agree. The row
    keeps its revision and all else; one that is as far, or further, stays. Of nodes that heard of different revisions
    before, the moved rows differ in that alone, and the journal takes the higher one to all.
    """
    furthest = max(_moves(connection, job_id), default=None)
    if furthest is None:
        return False
    config_epoch, instance, home, voters = furthest
    done = connection.execute(
        "UPDATE jobs SET config_epoch=?, instance=?, home=?, voters=? "
        "WHERE job_id=? AND (config_epoch, instance) < (?, ?)",
        (config_epoch, instance, home, voters, job_id, config_epoch, instance),
    )
    return done.rowcount > 0


def follow(connection: sqlite3.Connection, job_id: str, config_epoch: int, instance: int) -> int:
    """The instance that goes on with this one's work: the one after the moves that its voters decided from it on.

    A person who adopts the job begins another config epoch, and in it something new.
    """
    begun = {(epoch, following) for epoch, following, _, _ in _moves(connection, job_id)}
    while (config_epoch, instance + 1) in begun:
        instance += 1
    return instance


def _moves(connection: sqlite3.Connection, job_id: str) -> Iterator[tuple[int, int, str, str]]:
    """Config epoch and instance that follow, home and voters there."""
    query = "SELECT config_epoch, instance, value FROM decisions WHERE job_id=?"
    for config_epoch, instance, encoded in connection.execute(query, (job_id,)):
        value = value_from_bytes(encoded)
        if isinstance(value, Rehomed):
            yield config_epoch, instance + 1, value.home, json.dumps(value.voters)
