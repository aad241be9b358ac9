"""Ways to break a promise that the whole relies on, each of which the oracle must find: else it would find nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar
from unittest.mock import patch

from tests.sim.daemon_story import Sabotage
from tests.sim.daemon_world import World

from realign_daemon.decision.quorum import Electorate
from realign_daemon.journal import following
from realign_daemon.journal.entries import Ref, note
from realign_daemon.journal.jobs import TOMBSTONES
from realign_daemon.journal.kind import Kind, noted
from realign_daemon.journal.kinds import KINDS
from realign_daemon.journal.results import Results
from realign_daemon.testing.virtual_daemon import LastingConnection
from realign_daemon.work import ledger
from realign_daemon.work.database import Database

T = TypeVar("T")

COMMITS = 25  # of which the disk sees one
LATE_S = 1.5
ADOPT_S = 1.0


class LateConnection(LastingConnection):
    """A database that commits now and then: a crash takes what came since."""

    commits = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE" and self.in_transaction:
            return super().execute("SAVEPOINT whole")
        if sql == "ROLLBACK":
            return super().execute("ROLLBACK TO whole")
        if sql == "COMMIT":
            self.commits += 1
            if self.commits > COMMITS and self.commits % COMMITS:  # the tables are there
                return super().execute("SELECT 1")
        return super().execute(sql, parameters)


class PromiseForgetter(LastingConnection):
    """A crash takes the promises that a voter made without a vote."""

    def reopen(self) -> None:
        super().reopen()
        forgotten = "promised_config_epoch=voted_config_epoch, promised_epoch=voted_epoch, promised_node=voted_node"
        if _has_ballots(self):
            self.execute(f"UPDATE ballots SET {forgotten} WHERE voted_value IS NOT NULL")
            self.execute("UPDATE ballots SET promised_epoch=0, promised_node='' WHERE voted_value IS NULL")


class VoteForgetter(LastingConnection):
    """A crash takes the votes of a voter."""

    def reopen(self) -> None:
        super().reopen()
        forgotten = "voted_config_epoch=NULL, voted_epoch=NULL, voted_node=NULL, voted_value=NULL"
        if _has_ballots(self):
            self.execute(f"UPDATE ballots SET {forgotten}")


def _has_ballots(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name='ballots'").fetchone() is not None


def _with_disks(factory: type[LastingConnection]) -> Sabotage:
    @contextmanager
    def sabotage(world: World) -> Generator[None]:
        for node in world.nodes:
            node.connection.end()
            node.connection = sqlite3.connect(":memory:", isolation_level=None, factory=factory)
        yield

    return sabotage


skip_the_commit = _with_disks(LateConnection)
forget_promises = _with_disks(PromiseForgetter)
forget_votes = _with_disks(VoteForgetter)


@contextmanager
def one_is_a_majority(_: World) -> Generator[None]:
    """Whoever votes decides."""

    def has_any(electorate: Electorate, nodes: Collection[str]) -> bool:
        return any(voter in nodes for voter in electorate.voters)

    with patch.object(Electorate, "is_majority", has_any):
        yield


@contextmanager
def adopt_automatically(world: World) -> Generator[None]:
    """Whoever cannot reach a job's home makes itself the home, as a person may."""
    for node in world.nodes:
        node.cluster = replace(node.cluster, auto_adopt_after_s=ADOPT_S)
    yield


@contextmanager
def acknowledge_before_the_commit(_: World) -> Generator[None]:
    """A home hears that a unit is done before its result is on disk."""
    run = Database.run

    async def hasty(self: Database, work: Callable[[sqlite3.Connection], T]) -> T | None:
        if not work.__qualname__.startswith("Ledger.add_results"):
            return await run(self, work)

        async def later() -> None:
            await asyncio.sleep(LATE_S)
            await run(self, work)

        later_on.append(asyncio.create_task(later()))
        return None

    later_on: list[asyncio.Task[None]] = []
    with patch.object(Database, "run", hasty):
        yield


@contextmanager
def no_dedup_at_merge(_: World) -> Generator[None]:
    """A result that another node has, too, is taken for a second one."""
    merge = Results.merge

    def doubled(self: Results, connection: sqlite3.Connection, ref: str, payload: bytes) -> bool:
        done = merge(self, connection, ref, payload)
        copy = "unit_key, result_hash || '+', kind, result, node, started_unix_s, busy_s, tokens"
        key, _, digest = ref.partition("/")
        connection.execute(
            f"INSERT OR IGNORE INTO results SELECT {copy} FROM results WHERE unit_key=? AND result_hash=?",
            (key, digest),
        )
        note(connection, Ref(kind="result", ref=f"{ref}+"), payload)
        return done

    with patch.object(Results, "merge", doubled):
        yield


@contextmanager
def hold_back_everything(_: World) -> Generator[None]:
    """A node that is short of disk takes in nothing, however small."""
    with patch.object(following, "LARGE", frozenset(kind.name for kind in KINDS)):
        yield


@contextmanager
def forget_removals(_: World) -> Generator[None]:
    """Of a removal only the home knows that has removed the job."""

    def silent(connection: sqlite3.Connection, kind: Kind, ref: str) -> None:
        if kind is not TOMBSTONES:
            noted(connection, kind, ref)

    with patch.object(ledger, "noted", silent):
        yield
